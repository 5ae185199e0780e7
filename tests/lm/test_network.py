"""A network without a tokenizer: torch's own stacks, a ViT, anything with modules."""

import pytest
import torch
from torch import nn
from worlds import LAYERS, WIDTH

from hsae.errors import UserError
from hsae.lm import Network, load_network

BATCH, TOKENS = 3, 5


def stack(kind, *, norm_first, batch_first=True, norm=True, seed=0):
    """One of torch's own stacks, with random weights in its norms too."""
    layer_class = getattr(nn, f"{kind}Layer")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layer = layer_class(WIDTH, 4, 64, norm_first=norm_first, batch_first=batch_first)
        options = {"enable_nested_tensor": not norm_first} if kind == "TransformerEncoder" else {}
        model = getattr(nn, kind)(layer, LAYERS, norm=nn.LayerNorm(WIDTH) if norm else None, **options)
        for weight in model.parameters():
            weight.data += 0.1 * torch.randn_like(weight)
    return model.eval().requires_grad_(False)


def inputs(kind, seed=0):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(BATCH, TOKENS, WIDTH, generator=g)
    return (x,) if kind == "TransformerEncoder" else (x, torch.randn(BATCH, 7, WIDTH, generator=g))


def step_by_step(kind, model, x, memory=None, *, padding=None):
    """Every site of a stack, from the equations of the Transformer."""
    found = {}
    said = {"need_weights": False, "key_padding_mask": padding}
    for number, layer in enumerate(model.layers):
        first, decoder = layer.norm_first, kind == "TransformerDecoder"
        norms = [layer.norm1, layer.norm2, layer.norm3] if decoder else [layer.norm1, layer.norm2]
        found[f"resid_pre.{number}"] = x
        read = norms[0](x) if first else x
        attn = found[f"attn_out.{number}"] = layer.self_attn(read, read, read, **said)[0]
        x = x + attn if first else norms[0](x + attn)
        if decoder:
            read = norms[1](x) if first else x
            cross = layer.multihead_attn(read, memory, memory, need_weights=False)[0]
            x = x + cross if first else norms[1](x + cross)
        found[f"resid_mid.{number}"] = x
        read = found[f"mlp_in.{number}"] = norms[-1](x) if first else x
        held = found[f"mlp_act.{number}"] = torch.relu(layer.linear1(read))
        mlp = found[f"mlp_out.{number}"] = layer.linear2(held)
        x = found[f"resid_post.{number}"] = x + mlp if first else norms[-1](x + mlp)
    if model.norm is not None:
        found["final_norm"] = model.norm(x)
    return found


@pytest.fixture
def unfused():
    """The reference step by step too."""
    torch.backends.mha.set_fastpath_enabled(False)
    yield
    torch.backends.mha.set_fastpath_enabled(True)


@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("kind", ["TransformerEncoder", "TransformerDecoder"])
def test_torchs_own_stacks_are_captured_to_the_last_bit(unfused, kind, norm_first, norm):
    model = stack(kind, norm_first=norm_first, norm=norm)
    network, given = Network(model), inputs(kind)
    expected = step_by_step(kind, model, *given)
    assert network.family == kind
    assert network.site_names() == list(expected)
    torch.backends.mha.set_fastpath_enabled(True)
    together = network.capture(network.site_names(), *given)
    for site, wanted in expected.items():
        assert torch.equal(together[site], wanted), site
        assert torch.equal(network.capture([site], *given)[site], wanted), site


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")  # torch's own, inside its fused path
@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_does_not_fuse_an_encoder_past_its_hooks(unfused, side):
    model = stack("TransformerEncoder", norm_first=False)
    (x,) = inputs("TransformerEncoder")
    padding = torch.tensor([[False] * 5, [False] * 3 + [True] * 2, [False] * 2 + [True] * 3])
    padding = padding if side == "right" else padding.flip(1)
    expected = step_by_step("TransformerEncoder", model, x, padding=padding)
    torch.backends.mha.set_fastpath_enabled(True)
    got = Network(model).capture(list(expected), x, keep=~padding, src_key_padding_mask=padding)
    for site, rows in got.items():
        torch.testing.assert_close(rows, expected[site][~padding], msg=site)
    fused = model(x, src_key_padding_mask=padding)
    torch.testing.assert_close(got["final_norm"], fused[~padding], rtol=1e-4, atol=1e-5)


def test_torchs_switch_is_left_as_it_was_whatever_happens():
    network = Network(stack("TransformerEncoder", norm_first=True))
    switch = torch.backends.mha.get_fastpath_enabled
    with network.captured(["mlp_act.0"]), network.edited("mlp_out.0", torch.zeros_like):
        assert not switch()
        network.capture(["mlp_act.1"], *inputs("TransformerEncoder"))
        assert not switch()
    with pytest.raises(ZeroDivisionError), network.captured(["mlp_act.0"]):
        raise ZeroDivisionError
    assert switch()


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("kind", ["TransformerEncoder", "TransformerDecoder"])
def test_edits_of_torchs_stacks_reach_the_end_and_leave_no_trace(kind, norm_first):
    network, given = Network(stack(kind, norm_first=norm_first)), inputs(kind)
    before = network.model(*given)
    for site in network.site_names():
        if site.startswith("resid_mid") and norm_first:
            continue
        with network.edited(site, lambda x: x + torch.linspace(-1, 1, x.shape[-1])):
            assert (network.model(*given) - before).abs().max() > 1e-4, site
        assert torch.equal(network.model(*given), before), site


def test_the_axes_are_the_networks_own():
    network = Network(stack("TransformerEncoder", norm_first=True, batch_first=False))
    x = inputs("TransformerEncoder")[0].transpose(0, 1)
    keep = torch.rand(TOKENS, BATCH, generator=torch.Generator().manual_seed(1)) > 0.5
    whole = network.capture(["resid_post.1"], x)["resid_post.1"]
    assert whole.shape == (TOKENS, BATCH, WIDTH)
    assert torch.equal(network.capture(["resid_post.1"], x, keep=keep)["resid_post.1"], whole[keep])


class Classifier(nn.Module):
    """A network around one of torch's stacks, as people write them."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(20, WIDTH)
        self.encoder = stack("TransformerEncoder", norm_first=True)
        self.head = nn.Linear(WIDTH, 4)

    def forward(self, ids):
        return self.head(self.encoder(self.embedding(ids)).mean(1))


def test_a_stack_is_found_inside_the_network_around_it():
    network = Network(Classifier())
    ids = torch.randint(20, (BATCH, TOKENS), generator=torch.Generator().manual_seed(0))
    got = network.capture(["resid_pre.0", "resid_post.-1", "out:embedding", "out:head"], ids)
    assert torch.equal(got["resid_pre.0"], network.model.embedding(ids))
    assert torch.equal(got["resid_pre.0"], got["out:embedding"])
    assert torch.equal(got["out:head"], network.model(ids))
    assert network.widths(["mlp_act.0", "out:head"], ids) == {"mlp_act.0": 64, "out:head": 4}


def test_of_several_stacks_one_is_chosen_by_its_path():
    model = nn.Transformer(WIDTH, 4, 2, 3, 64, batch_first=True)
    with pytest.raises(UserError, match="'Transformer' has no row"):
        Network(model).check_sites(["resid_post.0"])
    for part, layers in (("encoder", 2), ("decoder", 3)):
        network = Network(model, stack=part)
        got = network.capture(["resid_post.-1"], torch.ones(1, 4, WIDTH), torch.ones(1, 6, WIDTH))
        assert f"resid_post.{layers - 1}" in network.site_names()
        assert got["resid_post.-1"].shape == (1, 4 if part == "encoder" else 6, WIDTH)


def test_a_plain_network_has_the_sites_of_its_modules():
    mlp = nn.Sequential(nn.Linear(6, 8), nn.ReLU(inplace=True), nn.Linear(8, 2))
    network, x = Network(mlp), torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    got = network.capture(["in:0", "out:0", "out:1", "out:2"], x)
    assert torch.equal(got["in:0"], x)
    assert torch.equal(got["out:0"], mlp[0](x)), "not what the next module wrote into it"
    assert torch.equal(got["out:1"], mlp[0](x).relu())
    assert network.widths(["out:0", "out:2"], x) == {"out:0": 8, "out:2": 2}
    keep = torch.tensor([True, False, True, False])
    assert torch.equal(network.capture(["out:1"], x, keep=keep)["out:1"], got["out:1"][keep])
    before = mlp(x)
    with network.edited("out:1", torch.zeros_like):
        assert torch.equal(mlp(x), mlp[2].bias.expand(4, 2))
    assert torch.equal(mlp(x), before)


def test_a_convolutional_network_too():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 2))
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    got = Network(model).capture(["out:0", "in:3"], x)
    assert torch.equal(got["out:0"], model[0](x))
    assert torch.equal(got["in:3"], model[:3](x))


def test_a_network_without_roles_says_how_its_sites_are_named():
    model = nn.Sequential(nn.Linear(6, 8), nn.ModuleDict({"inner": nn.ReLU()})["inner"])
    with pytest.raises(UserError) as refused:
        Network(model).check_sites(["resid_post.0"])
    said = str(refused.value)
    assert "'Sequential' has no row in the site table" in said
    assert "layers.sites=[out:0] is what 0 returns, [in:0] what it reads" in said
    assert said.endswith("  0: Linear\n  1: ReLU")


@pytest.fixture(scope="module")
def vit(tmp_path_factory):
    from transformers import ViTConfig, ViTForImageClassification

    folder = tmp_path_factory.mktemp("vit")
    shape = {"hidden_size": WIDTH, "intermediate_size": 64, "num_hidden_layers": LAYERS}
    config = ViTConfig(**shape, num_attention_heads=4, image_size=16, patch_size=4)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        ViTForImageClassification(config).save_pretrained(folder)
    return folder


def test_a_vision_transformer_is_captured_to_the_last_bit(vit):
    network = load_network(vit)
    pixels = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    hidden = network.model(pixels, output_hidden_states=True).hidden_states
    got = network.capture(network.site_names(), pixels)
    assert torch.equal(got["embed"], hidden[0])
    for layer in range(LAYERS):
        assert torch.equal(got[f"resid_pre.{layer}"], hidden[layer])
        assert torch.equal(got[f"resid_post.{layer}"], hidden[layer + 1])
        added = got[f"resid_pre.{layer}"] + got[f"attn_out.{layer}"]
        torch.testing.assert_close(added, got[f"resid_mid.{layer}"])
        torch.testing.assert_close(added + got[f"mlp_out.{layer}"], got[f"resid_post.{layer}"])
    assert torch.equal(got["final_norm"], network.model(pixels).last_hidden_state)
    for site, found in got.items():
        assert torch.equal(network.capture([site], pixels)[site], found), site
    before = network.model(pixels).last_hidden_state
    with network.edited("mlp_act.1", torch.zeros_like):
        assert not torch.equal(network.model(pixels).last_hidden_state, before)
    assert torch.equal(network.model(pixels).last_hidden_state, before)


def test_a_vision_transformer_is_no_language_model(vit):
    from hsae.lm import load

    with pytest.raises(
        UserError, match=r"ViTForImageClassification, which is no language model(.|\n)*load_network"
    ):
        load(vit)
