"""A page made once from planted results."""

import pytest
from report_browser import page_of
from worlds_report import World, whole

from hsae.report.read import Material


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return whole(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def material(world: World) -> Material:
    return Material(world.made)


@pytest.fixture(scope="session")
def page(material: Material) -> str:
    return page_of(material)


@pytest.fixture(scope="session")
def empty_page() -> str:
    return page_of(Material([]))
