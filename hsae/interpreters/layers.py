"""Hidden layers that several interpreters share."""

from torch import nn


def trunk(width: int, *, hidden: int, depth: int, dropout: float) -> nn.Sequential:
    """`depth` times Linear, GELU, dropout: [row width] -> [row hidden]."""
    layers = []
    for number in range(depth):
        layers += [nn.Linear(hidden if number else width, hidden), nn.GELU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers)


def encoder(*, d_model: int, heads: int, feedforward: int, depth: int, dropout: float) -> nn.TransformerEncoder:
    """`depth` pre-norm transformer layers with GELU: [row place d_model] -> the same, without a last norm."""
    layer = nn.TransformerEncoderLayer(
        d_model, heads, feedforward, dropout, "gelu", batch_first=True, norm_first=True
    )
    # each its own draw: nn.TransformerEncoder copies one layer, and four equal layers start four times alike
    whole = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
    for module in whole.modules():
        if isinstance(module, nn.Linear):
            module.reset_parameters()
        elif isinstance(module, nn.MultiheadAttention):
            module._reset_parameters()
    return whole
