"""The raw rows of an encyclopedia, as interpreters read them: three roles, several sites side by side."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import NamedTuple, final

import numpy as np
import torch
from jaxtyping import Float32

from hsae.encyclopedia import Encyclopedia
from hsae.encyclopedia.encyclopedia import Role
from hsae.errors import UserError
from hsae.interpreters.base import Rows


@final
class Roles(NamedTuple):
    """What is fitted on, tuned on and judged on; no two share a template."""

    fit: Rows
    tune: Rows
    test: Rows


@final
class Reading:
    """The contexts that an interpreter is fitted on, out of one encyclopedia, and tuned and judged on, out of
    another or the same."""

    def __init__(self, fit: Encyclopedia, judge: Encyclopedia, sites: Sequence[str]):
        self.fit, self.judge, self.sites = fit, judge, list(sites)
        self._read = Roles(
            rows_of(fit, sites, "fit"), rows_of(judge, sites, "tune"), rows_of(judge, sites, "test")
        )

    @cached_property
    def roles(self) -> Roles:
        """Their rows, without those of tune whose concept has none to be fitted on."""
        return _answerable(self._read)

    @property
    def lost(self) -> int:
        """Rows of tune that are left out."""
        return len(self._read.tune.concept) - len(self.roles.tune.concept)

    def told(self, x: Callable[[Encyclopedia, Role], Float32[torch.Tensor, "row *site d"]]) -> Roles:
        """Other activations of the same contexts: `x` of an encyclopedia and a role, as `rows_of` orders
        them."""
        fit, tune, test = self._read
        return _answerable(
            Roles(
                fit._replace(x=x(self.fit, "fit")),
                tune._replace(x=x(self.judge, "tune")),
                test._replace(x=x(self.judge, "test")),
            )
        )


def _answerable(roles: Roles) -> Roles:
    seen = torch.isin(roles.tune.concept, roles.fit.concept.unique())
    return roles._replace(tune=roles.tune.chosen(seen))


def of_one_width(book: Encyclopedia, sites: Sequence[str]) -> list[str]:
    """The sites themselves. Raises UserError where they differ in width: one interpreter reads one."""
    if len({book.d(site) for site in sites}) > 1:
        raise UserError(
            f"the sites {', '.join(sites)} have different widths, and one interpreter reads one.\n"
            f"Type site={sites[-1]}"
        )
    return list(sites)


def rows_of(book: Encyclopedia, sites: Sequence[str], role: Role) -> Rows:
    """Raw rows of one role at all sites, [row d] for a single one. Raises UserError where there are none."""
    of = [book.rows(site, role=role) for site in sites]
    if not len(of[0].concept):
        raise UserError(
            f"the encyclopedia {book.folder} keeps no raw row of the role {role}.\n"
            "Bootstrap a stage with more contexts (stage=templates), and with encyclopedia.sample above 0."
        )
    named = torch.from_numpy(of[0].concept), torch.from_numpy(of[0].template)
    return Rows(side_by_side([rows.x for rows in of]), *named)


def side_by_side(x: Sequence[Float32[np.ndarray, "row d"]]) -> Float32[torch.Tensor, "row *site d"]:
    """The activations at some sites as interpreters read them."""
    tensors = [torch.from_numpy(one) for one in x]
    return tensors[0] if len(tensors) == 1 else torch.stack(tensors, 1)


def by_source(book: Encyclopedia, sites: Sequence[str], role: Role) -> dict[str, Rows]:
    """The rows of one role, by the sources that have some."""
    rows, source = rows_of(book, sites, role), book.rows(sites[0], role=role).source
    return {
        name: rows.chosen(torch.from_numpy(source == number))
        for number, name in enumerate(book.sources)
        if (source == number).any()
    }
