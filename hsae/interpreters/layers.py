"""Hidden layers that several interpreters share."""

from torch import nn

from hsae.interpreters.settings import Attending


def trunk(width: int, *, hidden: int, depth: int, dropout: float) -> nn.Sequential:
    """`depth` times Linear, GELU, dropout: [row width] -> [row hidden]."""
    layers = []
    for number in range(depth):
        layers += [nn.Linear(hidden if number else width, hidden), nn.GELU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers)


def encoder(of: Attending) -> nn.Sequential:
    """Pre-norm transformer layers with GELU: [row place d_model] -> the same, without a last norm."""
    shape = (of.d_model, of.heads, of.feedforward, of.dropout, "gelu")
    layer = lambda: nn.TransformerEncoderLayer(*shape, batch_first=True, norm_first=True)
    return nn.Sequential(*(layer() for _ in range(of.depth)))


def head(d_model: int, concepts: int) -> nn.Sequential:
    """The norm that the encoder leaves out, and a logit for each concept."""
    return nn.Sequential(nn.LayerNorm(d_model), nn.Linear(d_model, concepts))
