import tomllib
from pathlib import Path

import pytest

from mesh_fl.agents.threat import well_known
from mesh_fl.agents.threat.indicators import Indicator, find_indicators
from mesh_fl.agents.threat.well_known import is_well_known


def read(text: str) -> Indicator:
    (found,) = find_indicators(text)
    return found


@pytest.mark.parametrize(
    "text",
    [
        "8.8.8.8",
        "2001:4860:4860:0:0:0:0:8888",
        "www.microsoft.com",
        "Microsoft.COM",
        "https://www.google.com/search?q=x",
        "hxxps://github[.]com:443/a/b",
        "billing@paypal.com",
    ],
)
def test_services_that_everybody_uses(text: str) -> None:
    assert is_well_known(read(text))


@pytest.mark.parametrize(
    "text",
    [
        "8.8.8.9",
        "microsoft.com.evil.ru",
        "micros0ft.com",
        "evil.azure.com",
        "https://evil.ru/www.microsoft.com",
        "https://microsoft.com@evil.ru/",
        "microsoft.com@evil.ru",
        "https://[2001:4860::1]/",
    ],
)
def test_what_only_resembles_them(text: str) -> None:
    assert not is_well_known(read(text))


def test_every_entry_is_an_indicator_in_its_canonical_form() -> None:
    path = Path(well_known.__file__).with_name("well_known.toml")
    tables = tomllib.loads(path.read_text("utf-8"))
    for value in (*tables["resolvers"]["addresses"], *tables["sites"]["names"]):
        found = read(value)
        assert (found.value, found.scope) == (value, "public")
        assert is_well_known(found)
