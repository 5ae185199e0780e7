import pytest
from worlds_sae import VARIANTS


@pytest.fixture(params=VARIANTS)
def variant(request):
    """Every SAE in conf/sae: a new one is tested by existing."""
    return request.param
