import json
from decimal import ROUND_DOWN, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_fl.agents.collaboration.deal import read_deal
from mesh_fl.agents.collaboration.revenue import RevenueSharing, share_revenue
from mesh_fl.errors import DataError


def shared(**deal: object) -> RevenueSharing:
    return share_revenue(read_deal(json.dumps({"currency": "EUR", **deal})))


WORK = [{"msp": "north", "hours": "40", "rate": "95.50"}, {"msp": "south", "hours": 12, "rate": 80}]
SHARES = [{"msp": "north", "share": "0.6"}, {"msp": "south", "share": 0.4}]


def test_hours_alone_make_the_price() -> None:
    found = shared(parties=WORK)
    assert found.price == Decimal("4780.00")
    assert [line.arithmetic for line in found.lines] == [
        "40 h x 95.50 EUR/h = 3,820.00 EUR",
        "12 h x 80 EUR/h = 960.00 EUR",
    ]
    assert found.check == "3,820.00 + 960.00 = 4,780.00 EUR"


def test_everything_at_once_by_hand() -> None:
    found = shared(
        amount="1000.00",
        parties=[{"msp": "us", "hours": "1.5", "rate": "33.33"}, *SHARES],
        referral={"msp": "broker", "share": "0.1"},
        overhead={"msp": "us", "share": "0.05"},
        remainder_to="south",
    )
    amounts = [(line.msp, line.what, str(line.amount)) for line in found.lines]
    # 1.5 x 33.33 = 49.995, to even 50.00; 1000 - 50 - 100 - 50 = 800.
    assert amounts == [
        ("us", "work", "50.00"),
        ("broker", "referral", "100.00"),
        ("us", "overhead", "50.00"),
        ("north", "share", "480.00"),
        ("south", "share", "320.00"),
    ]
    assert {one.msp: str(one.amount) for one in found.totals}["us"] == "100.00"


def test_a_cent_that_rounding_leaves_goes_to_the_party_named() -> None:
    thirds = [
        {"msp": name, "share": share}
        for name, share in zip("abc", (".3", ".3", ".4"), strict=False)
    ]
    found = shared(amount="0.05", parties=thirds, remainder_to="b")
    assert found.lines[-1].msp == "b"
    assert found.lines[-1].what == "what rounding leaves over"
    assert found.lines[-1].arithmetic == "0.05 EUR - 0.04 EUR = 0.01 EUR"


def test_what_nobody_is_due_goes_to_the_first_party() -> None:
    found = shared(amount="5000", parties=WORK)
    assert found.remainder_to == "north"
    assert found.lines[-1].what == "what is left of the price"
    assert str(found.lines[-1].amount) == "220.00"


@pytest.mark.parametrize(("currency", "decimals"), [("JPY", 0), ("EUR", 2), ("KWD", 3)])
def test_currencies_have_their_own_smallest_unit(currency: str, decimals: int) -> None:
    found = shared(currency=currency, parties=[{"msp": "a", "hours": "1", "rate": "10.12345"}])
    assert found.price == round(Decimal("10.12345"), decimals)
    assert -found.price.as_tuple().exponent == decimals


CENTS = st.integers(0, 10**9).map(lambda cents: Decimal(cents) / 100)
PARTS = st.lists(st.integers(1, 997), min_size=1, max_size=6)


@given(CENTS, PARTS, st.decimals(0, 40, places=3), st.decimals(0, "0.3", places=6))
def test_lines_always_add_up_to_the_last_cent(price, parts, hours, cut) -> None:
    whole = 10**6
    shares = [whole * part // sum(parts) for part in parts]
    shares[0] += whole - sum(shares)
    parties: list[dict[str, str]] = [
        {"msp": f"p{place}", "share": str(Decimal(share) / whole)}
        for place, share in enumerate(shares)
    ]
    parties.append({"msp": "worker", "hours": str(hours), "rate": "7.77"})
    deal = {"amount": str(price), "parties": parties, "referral": {"msp": "b", "share": str(cut)}}
    work = (hours * Decimal("7.77")).quantize(Decimal("0.01"))
    if work + (price * cut).quantize(Decimal("0.01"), ROUND_DOWN) > price:
        with pytest.raises(DataError, match="more than the price"):
            shared(**deal)
        return
    found = shared(**deal)
    assert sum(line.amount for line in found.lines) == found.price == price
    assert sum(total.amount for total in found.totals) == price
    assert all(line.amount >= 0 for line in found.lines)
    assert all(line.amount == line.amount.quantize(Decimal("0.01")) for line in found.lines)
    rounding = [line for line in found.lines if line.what == "what rounding leaves over"]
    assert sum(line.amount for line in rounding) < len(parts) * Decimal("0.01")


BAD = [
    ("", "no JSON"),
    ("[]", "an array"),
    ("{", "no JSON"),
    ("[" * 100_000, "nested too deeply"),
    ('{"currency":"EUR","parties":[],"amount":NaN}', "NaN"),
    ('{"currency":"EUR","currency":"USD"}', "again"),
    ('{"currency":"euro"}', "three capital letters"),
    ('{"currency":"EUR"}', "deal.parties"),
    ('{"currency":"EUR","parties":[]}', "1 to 50"),
    ('{"currency":"EUR","party":[]}', "'party'"),
    ('{"currency":"EUR","parties":[{"msp":"a"}]}', "either hours and rate, or share"),
    ('{"currency":"EUR","parties":[{"msp":"a","hours":1}]}', "either hours and rate"),
    ('{"currency":"EUR","parties":[{"msp":"a","hours":1,"rate":2,"share":1}]}', "either"),
    ('{"currency":"EUR","parties":[{"msp":"","hours":1,"rate":2}]}', "a name"),
    ('{"currency":"EUR","parties":[{"msp":"a","hours":-1,"rate":2}]}', "from 0"),
    ('{"currency":"EUR","parties":[{"msp":"a","hours":1e999999999,"rate":2}]}', "from 0"),
    ('{"currency":"EUR","parties":[{"msp":"a","hours":1e-99,"rate":2}]}', "decimals"),
    ('{"currency":"EUR","parties":[{"msp":"a","hours":true,"rate":2}]}', "true"),
    ('{"currency":"EUR","parties":[{"msp":"a","hours":"1_0","rate":2}]}', "'1_0'"),
    ('{"currency":"EUR","parties":[{"msp":"a","hours":"nan","rate":2}]}', "'nan'"),
    ('{"currency":"EUR","parties":[{"msp":"a","share":1.5}]}', "0 to 1"),
    ('{"currency":"EUR","parties":[{"msp":"a","share":1}]}', "deal.amount"),
    ('{"currency":"EUR","amount":1,"parties":[{"msp":"a","share":0.9}]}', "add up to 1, found 0.9"),
    ('{"currency":"EUR","amount":0.001,"parties":[{"msp":"a","share":1}]}', "0.01 EUR"),
    ('{"currency":"EUR","amount":1,"parties":[{"msp":"a","hours":9,"rate":1}]}', "9.00 EUR, more"),
    (
        '{"currency":"EUR","parties":[{"msp":"a","hours":9,"rate":1},{"msp":"a","hours":9,"rate":1}]}',
        "each party once",
    ),
    (
        '{"currency":"EUR","parties":[{"msp":"a","hours":9,"rate":1}],"remainder_to":"b"}',
        "one of the parties a",
    ),
    (
        '{"currency":"EUR","amount":9,"parties":[{"msp":"a","hours":9,"rate":1}],"referral":[]}',
        "deal.referral",
    ),
]


@pytest.mark.parametrize(("document", "said"), BAD)
def test_a_bad_deal_is_refused_in_words(document: str, said: str) -> None:
    with pytest.raises(DataError, match=r"^deal") as caught:
        share_revenue(read_deal(document))
    assert said in str(caught.value)
    assert len(str(caught.value)) < 400


def test_many_double_keys_take_no_time() -> None:
    keys = ",".join(f'"k{number}":0' for number in range(100_000))
    with pytest.raises(DataError, match="again"):
        read_deal("{" + keys + ',"k99999":0}')


def test_an_integer_of_a_million_digits_is_refused() -> None:
    with pytest.raises(DataError, match=r"deal\.amount"):
        read_deal(
            '{"currency":"EUR","parties":[{"msp":"a","share":1}],"amount":' + "9" * 10**6 + "}"
        )


def test_what_is_done_stands_in_the_line() -> None:
    parties = [
        {"msp": "us", "hours": "2", "rate": "50", "work": "night shift"},
        {"msp": "north", "share": "1", "work": "firewalls"},
    ]
    told = {"currency": "EUR", "amount": "300", "parties": parties}
    found = share_revenue(read_deal(json.dumps(told)))
    assert [one.what for one in found.lines] == ["work: night shift", "share: firewalls"]


@pytest.mark.parametrize("work", [3, "", " ", [], "x" * 201])
def test_work_that_cannot_be_shown_is_refused(work: object) -> None:
    parties = [{"msp": "us", "hours": "2", "rate": "50", "work": work}]
    with pytest.raises(DataError, match=r"parties\.0\.work"):
        read_deal(json.dumps({"currency": "EUR", "parties": parties}))


@pytest.mark.parametrize(("currency", "unit"), [("CLF", "0.0001"), ("KWD", "0.001"), ("JPY", "1")])
def test_a_currency_has_its_own_unit(currency: str, unit: str) -> None:
    parties = [{"msp": "us", "hours": "1", "rate": unit}]
    found = share_revenue(read_deal(json.dumps({"currency": currency, "parties": parties})))
    assert str(found.price) == unit
