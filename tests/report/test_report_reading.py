"""From artifacts to what the page says of them."""

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from report_browser import page_of
from worlds_report import CATEGORIES, World, concepts, encyclopedia, evaluation, quality, sae, vectors

from hsae.errors import UserError
from hsae.report import dictionaries, sections
from hsae.report.read import Material, read_map
from hsae.report.summary import lede
from hsae.report.tables import write_tables


def test_what_the_named_results_were_made_from_is_found(world: World):
    evaluations = [one for one in world.made if one.kind == "evaluation"]
    found = Material(evaluations).artifacts
    assert {one.kind for one in found} == {"evaluation", "sae", "teacher", "encyclopedia"}
    order = [one.fingerprint for one in found]
    for one in found:
        for said in one.manifest["inputs"].values():
            assert order.index(said["fingerprint"]) < order.index(one.fingerprint)


def test_an_sae_is_called_by_what_it_is(material: Material):
    assert {(one.name, one.teacher, one.seed) for one in material.saes.values()} == {
        (name, teacher, seed)
        for name in ("topk", "hierarchical")
        for teacher in ("blank", "taught by encyclopedia")
        for seed in (0, 1)
    }


def test_saes_that_differ_in_a_choice_are_no_seeds_of_one_another(tmp_path: Path):
    world = World(tmp_path)
    saes = [sae(world, "topk", "none", seed, k=k) for k in (8, 32) for seed in (0, 1)]
    named = Material(saes).saes
    assert {named[one.fingerprint].name for one in saes} == {"topk sae.k=8", "topk sae.k=32"}


def test_a_control_teacher_is_called_one(tmp_path: Path):
    made = sae(World(tmp_path), "topk", "encyclopedia", 0, control="shuffled")
    assert Material([made]).saes[made.fingerprint].teacher == "taught by shuffled encyclopedia"


def test_seeds_of_a_dictionary_are_one_group(material: Material):
    groups = dictionaries.grouped(material.rows)
    sizes = {(group[0].name, group[0].teacher): len(group) for group in groups}
    assert sizes == {
        ("topk", "blank"): 2,
        ("topk", "taught by encyclopedia"): 2,
        ("hierarchical", "blank"): 2,
        ("hierarchical", "taught by encyclopedia"): 2,
        ("PCA", ""): 2,
        ("random directions", ""): 2,
        ("untrained SAE", "as topk"): 2,
        ("untrained SAE", "as hierarchical"): 2,
    }


def test_the_mean_over_seeds_stands_in_the_table(page: str):
    mean = (quality("topk", "none", 0) + quality("topk", "none", 1)) / 2
    row = re.search(r"<b>topk</b> <i>blank</i>.*?</tr>", page, re.DOTALL)
    assert row
    assert f"<b>{mean:.3f}</b>" in row[0]
    assert "0.830 – 0.834" in row[0]


def test_every_verdict_stands_on_the_page_with_its_outcome(page: str, material: Material):
    outcomes = re.findall(r'data-outcome="(\w+)"', page)
    said = [claim.verdict["outcome"] for claim in (*material.claims, *material.geometry)]
    assert sorted(outcomes) == sorted(said)
    assert len(said) == 34
    for word in ("PASS", "FAIL", "INCONCLUSIVE", "trivial", "threshold", "null"):
        assert word in page


def test_a_verdict_shows_statistic_interval_threshold_null_and_n(page: str):
    row = re.search(r'<tr data-outcome="FAIL".*?</tr>', page, re.DOTALL)
    assert row
    cells = re.sub(r"<[^>]+>", " ", row[0]).split()
    for piece in ("−0.0120", "[−0.0200,", "−0.0040]", "−0.0300", "200", "concepts"):
        assert piece in cells


def test_curves_hold_what_was_logged(material: Material):
    curves = material.curves["resid_post.2"]
    assert len(curves) == 8
    assert all(len(curve.points) == 21 for curve in curves)
    assert curves[0].points[-1][0] == 400_000


def test_a_long_training_is_thinned_but_keeps_its_end(tmp_path: Path):
    made = sae(World(tmp_path), "topk", "none", 0, steps=1_000)
    (curve,) = Material([made]).curves["resid_post.2"]
    assert 150 < len(curve.points) <= 200
    assert curve.points[-1][0] == 10_000_000


def test_the_map_pools_the_roles_and_leaves_out_what_has_no_context(tmp_path: Path):
    book = encyclopedia(World(tmp_path), lacking=3)
    found = read_map(book, seed=0)
    assert len(found.entries) == len(found.vectors) == len(concepts()) - 1
    assert concepts()[3]["name"] not in {entry.name for entry in found.entries}
    np.testing.assert_allclose(found.vectors, np.delete(vectors(concepts()), 3, axis=0), rtol=1e-6)
    assert {entry.category for entry in found.entries} == {None, *CATEGORIES}


def test_an_earlier_stage_is_no_encyclopedia_of_its_own(tmp_path: Path):
    world = World(tmp_path)
    raw = encyclopedia(world)
    later = encyclopedia(world, earlier=raw)
    assert Material([raw, later]).encyclopedias == [later]


def test_latents_know_their_parents_from_the_sae(material: Material):
    _, _, latents = material.hierarchies[0]
    assert latents[0].parent == -1
    assert latents[1].parent == 0
    assert latents[9].concept is None


@pytest.mark.parametrize(
    ("draw", "job"),
    [
        (sections.verdict_section, "evaluate"),
        (sections.dictionary_section, "evaluate"),
        (sections.latent_section, "evaluate"),
        (sections.curve_section, "train_sae"),
        (lambda material: sections.map_section(material, seed=0), "bootstrap"),
        (sections.geometry_section, "teach"),
    ],
)
def test_what_is_missing_is_said_in_words(draw, job):
    said = draw(Material([])).markup()
    assert f"Make one with <code>hsae job={job}</code>" in said
    assert "<table" not in said
    assert "<svg" not in said


def test_an_evaluation_whose_sae_was_deleted_says_so(tmp_path: Path):
    world = World(tmp_path)
    studied = sae(world, "topk", "none", 0)
    judged = evaluation(world, studied)
    shutil.rmtree(studied.folder)
    with pytest.raises(UserError, match=f"{studied.fingerprint}, which is not there any more") as told:
        page_of(Material([judged]))
    assert "hsae job=train_sae" in str(told.value)


def test_a_page_of_many_dictionaries_draws_some_and_counts_the_others(tmp_path: Path):
    world = World(tmp_path)
    judged = [evaluation(world, sae(world, "hierarchical", "none", seed)) for seed in range(14)]
    page = page_of(Material(judged))
    assert page.count('class="forest"') == 12
    assert "The latents of 2 more dictionaries are in latents.csv." in page


def test_every_result_is_there_with_its_command_and_links_lead_to_it(page: str, material: Material):
    for one in material.artifacts:
        assert f'id="made-{one.fingerprint}"' in page
        assert one.manifest["command"] in page


def test_the_sentence_on_top_says_what_was_run(material: Material):
    said = lede(material)
    assert "349 concepts (wordnet)" in said
    assert (
        "8 sparse autoencoders (topk and hierarchical; blank and taught by encyclopedia; seeds 0 and 1)"
        in said
    )
    assert "beside PCA, random directions and untrained SAE" in said


def test_tables_hold_every_number_of_the_page(material: Material, tmp_path: Path):
    files = write_tables(material, tmp_path)
    assert files == ["verdicts.csv", "verdicts.json", "scores.csv", "scores.json", "latents.csv"]
    with (tmp_path / "scores.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == sum(len(row.scores) for row in material.rows)
    assert json.loads((tmp_path / "scores.json").read_text())[0]["value"] == float(rows[0]["value"])
    assert len(json.loads((tmp_path / "verdicts.json").read_text())) == 34


def test_equal_results_give_equal_pages(world: World, page: str):
    assert page_of(Material(world.made)) == page


def test_the_page_stays_small(page: str):
    assert len(page.encode()) < 1_000_000
