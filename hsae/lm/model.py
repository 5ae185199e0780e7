"""A language model as other floors see it: texts in, activations at named sites out, edits undone."""

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from inspect import signature
from typing import Any, Literal, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as CAUSAL

from hsae.errors import UserError
from hsae.lm.network import Network
from hsae.lm.sites import Change
from hsae.lm.tokens import Reader, Tokens
from hsae.model_facts import AFTER_PAD, ModelFacts


@final
class LM:
    """A language model of `layers` blocks and width `d`, in evaluation mode, with its tokenizer.

    `context` is the longest text in tokens (`sys.maxsize` where nothing bounds it), `family` the
    architecture's `model_type`, `fingerprint` a short name of the weights and files. `causal` models predict
    the next token; others (BERT, a T5 encoder) see the whole text. `network` is the model without its
    tokenizer.
    """

    def __init__(self, model: Any, tokenizer: Any, *, fingerprint: str):
        self.model = model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.reader = Reader(tokenizer)
        self.fingerprint = fingerprint
        self.network = Network(model)
        config = model.config.get_text_config()
        facts = ModelFacts.of(config.to_dict())
        self.family: str = config.model_type
        self.d: int = config.hidden_size
        self.layers: int = config.num_hidden_layers
        self.context: int = (facts and facts.context) or sys.maxsize
        self.vocabulary: int = config.vocab_size
        self.causal = type(model).__name__ in set(CAUSAL.values())
        self._takes = set(signature(self.network.base.forward).parameters)
        self._first_position = 1 + config.pad_token_id if self.family in AFTER_PAD else 0
        self._widths: dict[str, int] = {}

    @property
    def device(self) -> torch.device:
        """Where the weights lie; what is captured lies there too."""
        return self.model.device

    @property
    def room(self) -> int:
        """Tokens of its own that a text may have: the context without what the reader puts around it."""
        return self.context - len(self.reader.prefix) - len(self.reader.suffix)

    @property
    def embedding(self) -> Float[Tensor, "vocabulary d"]:
        """What each token brings into the stream, before scaling."""
        return self.model.get_input_embeddings().weight

    @property
    def unembedding(self) -> Float[Tensor, "vocabulary d"]:
        """What each token's logit reads from the stream after the final norm. Raises `UserError` without a
        head."""
        return self._head().weight

    def _head(self) -> Any:
        if (head := self.model.get_output_embeddings()) is None:
            raise UserError(
                f"{type(self.model).__name__} has no head over the vocabulary, so it gives no logits.\n"
                "Take a causal or masked language model for this."
            )
        return head

    def site_names(self) -> list[str]:
        """Every site of the model that has a role, in the order of the forward pass."""
        return self.network.site_names()

    def check_sites(self, sites: Sequence[str]) -> None:
        """Raise `UserError` for the first site that the model does not have."""
        self.network.check_sites(sites)

    def widths(self, sites: Sequence[str]) -> dict[str, int]:
        """Units of each site, seen in a pass over one token; most are `d`, `mlp_act` and `logits` are wider.

        Raises `UserError` for an unknown site, or one without a row for every token.
        """
        if unknown := [site for site in sites if site not in self._widths]:
            ids, mask = self.reader.pad([[int(self.embedding.shape[0]) - 1]])
            found = self.capture(ids, mask, unknown, mask)
            self._widths |= {site: rows.shape[-1] for site, rows in found.items()}
        return {site: self._widths[site] for site in sites}

    def tokenize(
        self, texts: Sequence[str], *, max_length: int | None = None, side: Literal["left", "right"] = "right"
    ) -> Tokens:
        """Texts as one padded batch, each inside the model's prefix and suffix tokens.

        `max_length` cuts each text's end to so many tokens, those around it included. Without it a text
        longer than the model's context is a `UserError`: nothing is cut in silence.
        """
        pieces = self.reader.pieces(texts)
        room = self.room if max_length is None else max_length - (self.context - self.room)
        for text, piece in zip(texts, pieces, strict=True):
            if max_length is None and len(piece.ids) > room:
                raise UserError(
                    f"a text of {len(piece.ids)} tokens does not fit into the model's context of {room}: "
                    f"{text[:60]!r} ...\nGive max_length to cut it, or split it."
                )
        if max_length is not None:
            pieces = [piece._replace(ids=piece.ids[:room], offsets=piece.offsets[:room]) for piece in pieces]
        return Tokens(*(tensor.to(self.device) for tensor in self.reader.tokens(pieces, side=side)))

    def capture(
        self,
        ids: Int[Tensor, "batch token"],
        mask: Tensor,
        sites: Sequence[str],
        keep: Bool[Tensor, "batch token"] | None = None,
    ) -> dict[str, Float[Tensor, "..."]]:
        """Copies of the activations at the sites from one pass, which ends at the highest of them: no head
        unless `logits` is asked for, no cache.

        Without `keep`, [batch token width], and rows of padding hold arbitrary numbers. With `keep`, only its
        rows, [row width], in row-major order. The dtype is the model's. Raises `UserError` for an unknown
        site.
        """
        return self.network.capture(sites, keep=keep, **self._inputs(ids, mask))

    def captured(
        self, sites: Sequence[str], keep: Bool[Tensor, "batch token"] | None = None
    ) -> AbstractContextManager[dict[str, Tensor]]:
        """Inside the `with`, every pass of `model` or its base fills a dictionary with the activations."""
        return self.network.captured(sites, keep)

    def capture_texts(
        self, texts: Sequence[str], sites: Sequence[str]
    ) -> tuple[Tokens, dict[str, Float[Tensor, "batch token width"]]]:
        """Tokens of the texts, and their activations at the sites."""
        tokens = self.tokenize(texts)
        return tokens, self.capture(tokens.ids, tokens.mask, sites)

    def edited(self, site: str, change: Change) -> AbstractContextManager[None]:
        """Inside the `with`, the model computes with `change(activation)` [batch token width] in the site's
        place; see `Network.edited`."""
        return self.network.edited(site, change)

    @torch.no_grad()
    def logits(
        self, ids: Int[Tensor, "batch token"], mask: Tensor
    ) -> Float[Tensor, "batch token vocabulary"]:
        """Scores of the next token at every position, of the token itself where the model is not causal.

        Raises `UserError` for a model without a head.
        """
        self._head()
        return self.model(**self._inputs(ids, mask)).logits

    def loss(self, ids: Int[Tensor, "batch token"], mask: Tensor) -> Float[Tensor, "batch next"]:
        """-log p(token t+1 | tokens up to t) in nats, [batch, token-1], float32; NaN where either is padding.

        NaN and not 0, so that a mean over padding cannot look like a low loss: select with `mask[:, 1:]`.
        Raises `UserError` for a model that is not causal.
        """
        if not self.causal:
            raise UserError(
                f"{type(self.model).__name__} does not predict the next token: it sees the whole text.\n"
                "Take a causal language model for this."
            )
        scores = self.logits(ids, mask)[:, :-1].float()
        nll = functional.cross_entropy(
            scores.flatten(0, 1), ids.to(self.device)[:, 1:].flatten(), reduction="none"
        )
        mask = mask.to(self.device)
        return nll.view(len(ids), -1).masked_fill(~(mask[:, 1:] & mask[:, :-1]), float("nan"))

    def _inputs(self, ids: Tensor, mask: Tensor) -> dict[str, Any]:
        """What the model's forward pass is called with."""
        from_the_left = bool(mask[:, 0].all())
        named: dict[str, Any] = {"input_ids": ids.to(self.device), "attention_mask": mask.to(self.device)}
        if "use_cache" in self._takes:
            named["use_cache"] = False
        if "position_ids" in self._takes and (self._first_position or not from_the_left):
            # with padding on the left, each row counts its positions from its own first token; where the
            # model would count from the ids it takes a padding token that the text spells for padding
            seen = named["attention_mask"].long()
            named["position_ids"] = (seen.cumsum(1) * seen - 1 + self._first_position).clamp(min=0)
        return named
