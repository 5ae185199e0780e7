"""The activation buffers of SAELens and dictionary_learning beside ours: the same model, texts and context.

All of them read raw text and hand out shuffled float32 batches of rows without the BOS token; counted are the
rows handed out, while every buffer is filled as often as it is emptied. As their documentation recommends:

SAELens              `ActivationsStore`, documents concatenated, half of the buffer kept for mixing; through
                     TransformerLens's HookedTransformer (its default) and through the Hugging Face model with
                     hooks on the wanted modules alone; for several sites its multi-hook loader, and one store
                     per site
dictionary_learning  `ActivationBuffer` over nnsight's LanguageModel, refilled when half empty; contexts that
                     are read together are few enough that the last of a refill are not thrown away; for
                     several sites one buffer per site, for it knows one module
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import cycle
from typing import Any, final

import torch

from experiments.benchmarks.harvest.capture import bare, settle
from experiments.benchmarks.harvest.store import BATCH, streamed
from experiments.benchmarks.harvest.worlds import CONTEXT, World, texts
from experiments.benchmarks.rounds import Contender, rates
from experiments.benchmarks.rows import Row, speed


@final
@dataclass(frozen=True)
class Peers:
    """Their buffers around the weights of one of our models."""

    world: World

    @property
    def _batch(self) -> int:
        return min(BATCH, self.world.rows)

    @property
    def prompts(self) -> int:
        """Contexts in one pass: SAELens's default on a CPU, dictionary_learning's on a GPU."""
        return 32 if self.world.lm.device.type == "cpu" else 512

    @cached_property
    def hooked(self) -> Any:
        """The model as TransformerLens writes it, with our weights."""
        from transformer_lens import HookedTransformer, HookedTransformerConfig
        from transformer_lens.pretrained import weight_conversions as conversions

        model, config = self.world.lm.model, self.world.lm.model.config
        gpt2 = config.model_type == "gpt2"
        facts = self.world.facts
        said = HookedTransformerConfig(
            d_model=facts.d,
            n_layers=facts.layers,
            n_heads=config.num_attention_heads,
            d_head=facts.d // config.num_attention_heads,
            d_mlp=facts.mlp,
            n_ctx=self.world.lm.context,
            d_vocab=facts.vocabulary,
            act_fn="gelu_new" if gpt2 else "silu",
            normalization_type="LN" if gpt2 else "RMS",
            eps=config.layer_norm_epsilon if gpt2 else config.rms_norm_eps,
            positional_embedding_type="standard" if gpt2 else "rotary",
            rotary_dim=None if gpt2 else facts.d // config.num_attention_heads,
            rotary_adjacent_pairs=False,
            gated_mlp=not gpt2,
            final_rms=not gpt2,
            original_architecture=type(model).__name__,
            device=str(self.world.lm.device),
            dtype=model.dtype,
        )
        hooked = HookedTransformer(said, tokenizer=self.world.lm.tokenizer)
        convert = conversions.convert_gpt2_weights if gpt2 else conversions.convert_llama_weights
        hooked.load_and_process_state_dict(
            convert(model, said),
            fold_ln=False,
            center_writing_weights=False,
            center_unembed=False,
            fold_value_biases=False,
        )
        return hooked

    def module(self, site: str) -> str:
        """The module of the Hugging Face model that returns what the site holds."""
        role, _, layer = site.partition(".")
        gpt2 = self.world.lm.family == "gpt2"
        within = {"resid_post": "", "mlp_out": ".mlp", "attn_out": ".attn" if gpt2 else ".self_attn"}[role]
        return f"{'transformer.h' if gpt2 else 'model.layers'}.{layer}{within}"

    def saelens(self, sites: Sequence[str], *, hooked: bool) -> Iterator[Any]:
        """One store over all sites, from one pass."""
        from sae_lens.load_model import HookedProxyLM
        from sae_lens.training.activations_store import ActivationsStore

        if hooked:
            hooks = [f"blocks.{site.partition('.')[2]}.hook_{site.partition('.')[0]}" for site in sites]
        else:
            hooks = [self.module(site) for site in sites]
        lm, d = self.world.lm, self.world.lm.d
        model = self.hooked if hooked else HookedProxyLM(lm.model, lm.tokenizer, hook_names=hooks)
        same: dict[str, Any] = {
            "model": model,
            "dataset": [{"text": text} for text in texts()],
            "streaming": False,
            "context_size": CONTEXT,
            "n_batches_in_buffer": self.world.rows // CONTEXT,  # its buffer holds so many contexts
            "total_training_tokens": 1,
            "store_batch_size_prompts": self.prompts,
            "train_batch_size_tokens": self._batch,
            "prepend_bos": True,
            "normalize_activations": "none",
            "device": lm.device,
            "dtype": "float32",
            "exclude_special_tokens": torch.tensor(sorted(lm.reader.special), device=lm.device),
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if len(sites) == 1:
                return iter(ActivationsStore(hook_name=hooks[0], hook_head_index=None, d_in=d, **same))
            store = ActivationsStore.from_config_multi_hook(
                hook_names=hooks, hook_d_ins=dict.fromkeys(hooks, d), **same
            )
            return store.get_multi_hook_data_loader()

    def dictionary_learning(self, site: str) -> Iterator[Any]:
        """One buffer of one module."""
        from dictionary_learning import ActivationBuffer
        from nnsight import LanguageModel

        lm = self.world.lm
        traced = LanguageModel(lm.model, tokenizer=lm.tokenizer)
        submodule = traced
        for name in self.module(site).split("."):
            submodule = submodule[int(name)] if name.isdigit() else getattr(submodule, name)
        contexts = self.world.rows // CONTEXT
        return iter(
            ActivationBuffer(
                data=cycle(texts()),
                model=traced,
                submodule=submodule,
                d_submodule=lm.d,
                n_ctxs=contexts,
                ctx_len=CONTEXT,
                refresh_batch_size=max(8, min(self.prompts, contexts // 16)),
                out_batch_size=self._batch,
                device=str(lm.device),
                remove_bos=True,
            )
        )


def taken(world: World, *iterators: Iterator[Any]) -> Contender:
    """So many rows of each, every one of them at each of the sites."""

    @torch.no_grad()
    def run() -> int:
        done = 0
        while done < world.rows:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = [next(iterator) for iterator in iterators]
            done += len(found[0] if isinstance(found[0], torch.Tensor) else next(iter(found[0].values())))
        return done

    return run


def measure(world: World, rounds: int, *, apart: bool = False) -> Iterator[Row]:
    """Tokens per second beside theirs for one site (3 times at least) and six (10 times); `apart` also beside
    six of SAELens's stores, as whoever trains its SAEs one by one runs them."""
    peers = Peers(world)
    for sites, asked in (([world.middle], 3.0), (world.several(6), 10.0)):
        contenders = {
            "hsae": streamed(world, sites, rows=world.rows),
            "SAELens, HookedTransformer": taken(world, peers.saelens(sites, hooked=True)),
            "SAELens, Hugging Face model": taken(world, peers.saelens(sites, hooked=False)),
            "dictionary_learning": taken(world, *(peers.dictionary_learning(site) for site in sites)),
            "bare pass": bare(world, max(int(site.partition(".")[2]) for site in sites)),
        }
        if apart and len(sites) > 1:
            stores = (peers.saelens([site], hooked=True) for site in sites)
            contenders["SAELens, HookedTransformer, one store a site"] = taken(world, *stores)
        found = rates(contenders, rounds=rounds, settle=settle)
        count = "1 site" if len(sites) == 1 else f"{len(sites)} sites"
        for name in found:
            if name != "hsae":
                limit = None if name == "bare pass" else asked
                ours = (f"hsae, {count}", found["hsae"])
                yield speed("peers", world.name, ours, (name, found[name]), limit)
