"""Recorded markets to back-test on."""

from datetime import timedelta
from pathlib import Path

import pytest

from tests.cli.recordings import START, Market, trace_rows, wandering_prices


@pytest.fixture
def calm(tmp_path: Path) -> Market:
    """Prices alone, over five days."""
    return Market(tmp_path)


@pytest.fixture
def torn(tmp_path: Path) -> Market:
    """Three pools that come and go, over three days."""
    prices, trace = wandering_prices("p3.2xlarge"), trace_rows("p3.2xlarge")
    return Market(tmp_path, prices=prices, trace=trace, end=(START + timedelta(days=3)).isoformat())
