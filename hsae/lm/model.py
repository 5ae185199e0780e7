"""A language model as other floors see it: texts in, activations at named sites out, edits undone."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Literal, final

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from hsae.errors import UserError
from hsae.lm.sites import Change, places, unknown_site
from hsae.lm.tokens import Reader, Tokens


class _Enough(Exception):
    """Raised inside the forward pass when every site was seen: what lies above them need not run."""


@final
class LM:
    """A causal language model of `layers` blocks and width `d`, in evaluation mode, with its tokenizer.

    `context` is the longest text in tokens, `family` the architecture's `model_type`, `fingerprint` a short
    name of the weights and files.
    """

    def __init__(self, model: Any, tokenizer: Any, *, fingerprint: str):
        self.model = model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.reader = Reader(tokenizer)
        self.fingerprint = fingerprint
        config = model.config.get_text_config()
        self.family: str = config.model_type
        self.d: int = config.hidden_size
        self.layers: int = config.num_hidden_layers
        self.context: int = config.max_position_embeddings
        self.vocabulary: int = config.vocab_size
        self._places = places(model.base_model, config)

    @property
    def device(self) -> torch.device:
        """Where the weights lie; what is captured lies there too."""
        return self.model.device

    @property
    def embedding(self) -> Float[Tensor, "vocabulary d"]:
        """What each token brings into the stream, before scaling."""
        return self.model.get_input_embeddings().weight

    @property
    def unembedding(self) -> Float[Tensor, "vocabulary d"]:
        """What each token's logit reads from the stream after the final norm."""
        return self.model.get_output_embeddings().weight

    def site_names(self) -> list[str]:
        """Every site of the model, in the order of the forward pass."""
        return list(self._places)

    def check_sites(self, sites: Sequence[str]) -> None:
        """Raise `UserError` for the first site that the model does not have."""
        for site in sites:
            if site not in self._places:
                raise unknown_site(site, self.site_names())

    def tokenize(
        self, texts: Sequence[str], *, max_length: int | None = None, side: Literal["left", "right"] = "right"
    ) -> Tokens:
        """Texts as one padded batch, each behind the model's prefix token.

        `max_length` cuts each text's end to so many tokens, the prefix included. Without it a text longer
        than the model's context is a `UserError`: nothing is cut in silence.
        """
        pieces = self.reader.pieces(texts)
        room = (self.context if max_length is None else max_length) - len(self.reader.prefix)
        for text, piece in zip(texts, pieces, strict=True):
            if max_length is None and len(piece.ids) > room:
                raise UserError(
                    f"a text of {len(piece.ids)} tokens does not fit into the model's context of {room}: "
                    f"{text[:60]!r} ...\nGive max_length to cut it, or split it."
                )
        if max_length is not None:
            pieces = [piece._replace(ids=piece.ids[:room], offsets=piece.offsets[:room]) for piece in pieces]
        return Tokens(*(tensor.to(self.device) for tensor in self.reader.tokens(pieces, side=side)))

    @torch.no_grad()
    def capture(
        self, ids: Int[Tensor, "batch token"], mask: Tensor, sites: Sequence[str]
    ) -> dict[str, Float[Tensor, "batch token d"]]:
        """Activations at the sites from one pass of the base model: no head, no cache, nothing above the last
        site.

        Rows of padding hold arbitrary numbers. The dtype is the model's. Raises `UserError` for an unknown
        site.
        """
        self.check_sites(sites)
        seen: dict[str, Tensor] = {}

        def see(site: str, tensor: Tensor) -> None:
            seen[site] = tensor.reshape(*ids.shape, -1)  # OPT's MLP runs on flattened rows
            if len(seen) == len(set(sites)):
                raise _Enough

        with ExitStack() as hooks:
            for site in sites:
                handle = self._places[site].watch(lambda tensor, site=site: see(site, tensor))
                hooks.callback(handle.remove)
            with suppress(_Enough):
                self._forward(self.model.base_model, ids, mask)
        return {site: seen[site] for site in sites}

    def capture_texts(
        self, texts: Sequence[str], sites: Sequence[str]
    ) -> tuple[Tokens, dict[str, Float[Tensor, "batch token d"]]]:
        """Tokens of the texts, and their activations at the sites."""
        tokens = self.tokenize(texts)
        return tokens, self.capture(tokens.ids, tokens.mask, sites)

    @contextmanager
    def edited(self, site: str, change: Change) -> Iterator[None]:
        """Inside the `with`, the model computes with `change(activation)` [batch token d] in the site's
        place.

        Edits nest; on leaving, the logits are what they were, bit for bit. Raises `UserError` for
        `resid_mid`, which modules read but none returns: adding to `attn_out` of the same layer does the
        same.
        """
        self.check_sites([site])
        if site.startswith("resid_mid"):
            raise UserError(
                f"{site} can be captured but not edited: no module returns it.\n"
                f"Edit {site.replace('resid_mid', 'attn_out')}, which is added to the stream right there."
            )
        handle = self._places[site].replace(change)
        try:
            yield
        finally:
            handle.remove()

    @torch.no_grad()
    def logits(
        self, ids: Int[Tensor, "batch token"], mask: Tensor
    ) -> Float[Tensor, "batch token vocabulary"]:
        """Scores of the next token at every position."""
        return self._forward(self.model, ids, mask).logits

    def loss(self, ids: Int[Tensor, "batch token"], mask: Tensor) -> Float[Tensor, "batch next"]:
        """-log p(token t+1 | tokens up to t) in nats, [batch, token-1], float32; NaN where either is padding.

        NaN and not 0, so that a mean over padding cannot look like a low loss: select with `mask[:, 1:]`.
        """
        scores = self.logits(ids, mask)[:, :-1].float()
        nll = functional.cross_entropy(
            scores.flatten(0, 1), ids.to(self.device)[:, 1:].flatten(), reduction="none"
        )
        mask = mask.to(self.device)
        return nll.view(len(ids), -1).masked_fill(~(mask[:, 1:] & mask[:, :-1]), float("nan"))

    def _forward(self, model: Any, ids: Tensor, mask: Tensor) -> Any:
        ids, mask = ids.to(self.device), mask.to(self.device)
        if mask[:, 0].all():
            return model(input_ids=ids, attention_mask=mask, use_cache=False)
        # with padding on the left, each row counts its positions from its own first token
        positions = (mask.long().cumsum(1) - 1).clamp(min=0)
        return model(input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False)
