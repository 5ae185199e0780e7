"""Hidden layers that several interpreters share."""

from torch import nn


def trunk(width: int, *, hidden: int, depth: int, dropout: float) -> nn.Sequential:
    """`depth` times Linear, GELU, dropout: [row width] -> [row hidden]."""
    layers = []
    for number in range(depth):
        layers += [nn.Linear(hidden if number else width, hidden), nn.GELU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers)


def encoder(*, d_model: int, heads: int, feedforward: int, depth: int, dropout: float) -> nn.Sequential:
    """`depth` pre-norm transformer layers with GELU: [row place d_model] -> the same, without a last norm."""
    return nn.Sequential(
        *(
            nn.TransformerEncoderLayer(
                d_model, heads, feedforward, dropout, "gelu", batch_first=True, norm_first=True
            )
            for _ in range(depth)
        )
    )
