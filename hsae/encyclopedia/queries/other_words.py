"""The words of other concepts: tokens of the kind that is asked about, on which a concept should be silent.

Running text is mostly function words, on which no concept scores high. A p-value against it asks whether a
token names anything; whoever wants to know *which* concept it names has to beat words of content.
"""

import numpy as np
import torch

from hsae.encyclopedia.encyclopedia import Encyclopedia
from hsae.encyclopedia.queries.nulls import Background
from hsae.encyclopedia.queries.prototypes import Prototypes
from hsae.errors import UserError


def other_words(book: Encyclopedia, site: str, prototypes: Prototypes) -> Background:
    """The raw rows of the role tune, which no prototype was fitted on, each with the concept that it is of.

    Raises `UserError` where the encyclopedia keeps none.
    """
    rows = book.rows(site, role="tune")
    if not len(rows.concept):
        raise UserError(
            f"the encyclopedia {book.folder} keeps no raw row of the role tune for a null.\n"
            "Type job.against=text, or bootstrap with encyclopedia.sample above 0 and stage=templates."
        )
    column = np.array([prototypes.index.get(concept.id, -1) for concept in book.taxonomy])
    return Background(torch.from_numpy(rows.x.astype(np.float32)), torch.from_numpy(column[rows.concept]))
