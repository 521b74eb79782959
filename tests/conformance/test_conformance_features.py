"""What every registered feature must do, and proof that the suite catches those that do not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from daybook.core.hashing import hash_arrays
from daybook.features import Feature, as_of, catalog, compute, compute_panel
from daybook.features.causality import corrupted, first_leak
from daybook.features.cross import leader_return
from daybook.features.feature import INPUTS, UNITS
from daybook.features.filter_kernel import filtered_probability
from daybook.features.regime import CALM, STAY_CALM, STAY_WILD, WILD, standardised
from daybook.features.series import Series
from daybook.market import aggregate
from daybook.market.bars import FIELDS, Bars

PRICES = ("open", "high", "low", "close")
TOLERANCE = 1e-4
MINUTE_MS = 60_000
OUTAGE_MS = 1_679_657_280_000
"""2023-03-24 11:28 UTC: 72 frozen bars, then a gap of 80 minutes."""


# ---- bars


def random_bars(count: int = 1500, seed: int = 7) -> Bars:
    """A driftless market in which every bar moves and trades."""
    random = np.random.default_rng(seed)
    path = 30_000.0 * np.exp(np.cumsum(random.normal(0.0, 5e-4, count * 8)).reshape(count, 8))
    return Bars("test", "ETHUSDT", "1m", 1_672_531_200_000 + MINUTE_MS * np.arange(count), path[:, 0],
                path.max(axis=1), path.min(axis=1), path[:, -1], random.lognormal(2.0, 0.8, count))


def recorded(path: Path, timeframe: str, start: int, count: int) -> Bars:
    columns = pq.read_table(path).slice(start, count)
    arrays = (columns.column(name).to_numpy() for name in ("open_time", *FIELDS))
    return Bars("recorded", path.name.split("_")[0], timeframe, *arrays)


def outage(shared_data: Path) -> Bars:
    path = shared_data / "candles/binance_spot/1m/SOLUSDT_2022-01-01_2023-12-31.parquet"
    frozen = int(np.searchsorted(pq.read_table(path, columns=["open_time"]).column(0).to_numpy(), OUTAGE_MS))
    return recorded(path, "1m", frozen - 900, 1500)


@pytest.fixture(scope="module", params=[
    "random", pytest.param("minute", marks=pytest.mark.shared), pytest.param("outage", marks=pytest.mark.shared),
    pytest.param("hour", marks=pytest.mark.shared),
])
def bars(request: pytest.FixtureRequest) -> Bars:
    if request.param == "random":
        return random_bars()
    candles = request.getfixturevalue("shared_data") / "candles"
    if request.param == "minute":
        return recorded(candles / "binance_usdm/1m/BTCUSDT_2023-07-18_2023-08-17.parquet", "1m", 20_000, 1500)
    if request.param == "hour":
        return recorded(candles / "binance_spot/1h/ETHUSDT_2022-01-01_2023-12-31.parquet", "60m", 9_800, 1500)
    return outage(candles.parent)


def hostile_bars() -> dict[str, Bars]:
    """Markets on which a careless formula divides by zero or overflows."""
    plain = random_bars(900)
    calm = np.ones(900)
    stopped = np.arange(900) >= 600
    spike = np.where(np.arange(900) == 700, 100.0, 1.0)
    growth = 100.0 * 1.0001 ** np.arange(900.0)
    ticks = 100.0 + np.arange(900) % 2
    frozen = {field: np.where(stopped, plain.close[600], getattr(plain, field)) for field in PRICES}

    def priced(values: np.ndarray, volume: np.ndarray) -> Bars:
        return replace(plain, **dict.fromkeys(PRICES, values), volume=volume)

    return {
        "never moves": priced(100.0 * calm, calm),
        "never moves, never trades": priced(0.1 * calm, 0.0 * calm),
        "never trades": replace(plain, volume=0.0 * calm),
        "stops": replace(plain, **frozen),
        "stops and trades no more": replace(plain, **frozen, volume=np.where(stopped, 0.0, plain.volume)),
        "constant growth": priced(growth, calm),
        "two ticks": priced(ticks, calm),
        "one spike": replace(plain, **{field: getattr(plain, field) * spike for field in PRICES}),
        "tiny price": replace(plain, **{field: getattr(plain, field) * 1e-13 for field in PRICES}),
        "huge price and volume": replace(plain, **{field: getattr(plain, field) * 1e6 for field in FIELDS}),
        "tiny volume": replace(plain, volume=plain.volume * 1e-12),
    }


# ---- features of one market and of several, behind one face


@dataclass(frozen=True, eq=False)
class Beside(Feature):
    """A cross-coin feature whose other markets are given, so that every check can treat it as one of a single market.

    The others keep all their bars while a check cuts or corrupts the market's own: what it reads from them must lie in
    the past too.
    """

    others: tuple[Bars, ...] = ()

    def values(self, bars: Bars | Series) -> np.ndarray:
        return super().values(bars if isinstance(bars, Series) else prepared(self, bars))


def prepared(feature: Feature, bars: Bars) -> Series:
    return Series(bars, feature.others if isinstance(feature, Beside) else ())


def others_of(bars: Bars) -> tuple[Bars, ...]:
    """A leader and another coin at the same open times that move as wildly as the bars, each in its own way."""
    def noisy(symbol: str, seed: int) -> Bars:
        random = np.random.default_rng(seed)
        walk = np.exp(np.cumsum(random.normal(0.0, 4e-4, len(bars))))
        traded = np.exp(random.normal(0.0, 0.3, len(bars)))
        fields = {field: getattr(bars, field) * walk for field in PRICES}
        return replace(bars, symbol=symbol, **fields, volume=bars.volume * traded)

    return (noisy("BTCUSDT", 21), noisy("SOLUSDT", 22))


def subjects(bars: Bars) -> list[Feature]:
    """Every feature of the catalog, those that read several markets beside two others."""
    return [beside(feature, others_of(bars)) if feature.reads_peers else feature for feature in catalog().values()]


def beside(feature: Feature, others: tuple[Bars, ...]) -> Beside:
    fields = {name: getattr(feature, name) for name in Feature.__dataclass_fields__}
    return Beside(**fields, others=others)


def with_others(feature: Feature, change: Callable[[Bars], Bars]) -> Feature:
    """The feature with the bars of the other markets changed; one of a single market as it is."""
    if not isinstance(feature, Beside):
        return feature
    return replace(feature, others=tuple(change(other) for other in feature.others))


# ---- checks: each raises AssertionError for a feature that breaks its promise


def close_to(values: np.ndarray, expected: np.ndarray, tolerance: float) -> np.ndarray:
    """Where both are NaN, or differ by no more than this share of the value or of the feature's typical size."""
    defined = expected[np.isfinite(expected)]
    typical = defined.std() if defined.size else 0.0
    near = np.abs(values - expected) <= tolerance * np.maximum(np.abs(expected), typical)
    return near | (np.isnan(values) & np.isnan(expected))


def check_prefixes(feature: Feature, bars: Bars) -> None:
    """A value never changes when bars are appended, not in its last bit."""
    whole = feature.values(bars)
    lengths = {*np.linspace(2, len(bars) - 1, 20).astype(int), feature.warmup + 1, feature.warmup + 2}
    for length in sorted(lengths):
        np.testing.assert_array_equal(feature.values(bars.rows(0, length)), whole[:length], err_msg=f"first {length}")


def check_future(feature: Feature, bars: Bars) -> None:
    """Corrupted later bars leave earlier values alone."""
    whole = feature.values(bars)
    for cut in (feature.warmup + 2, len(bars) // 2, len(bars) - 1):
        corrupt = partial(corrupted, after=int(bars.open_time[cut]))
        values = with_others(feature, corrupt).values(corrupt(bars))
        np.testing.assert_array_equal(values[:cut], whole[:cut], err_msg=f"cut at {cut}")


def check_warmup(feature: Feature, bars: Bars) -> None:
    """NaN before the warm-up ends, defined from there on; bars must move and trade."""
    undefined = np.isnan(feature.values(bars))
    assert undefined[: feature.warmup].all(), "defined before its warm-up ends"
    assert not undefined[feature.warmup :].any(), "undefined after its warm-up"
    unmasked = np.isnan(feature.function(prepared(feature, bars)))
    if feature.recursive:
        assert unmasked.argmin() < feature.warmup, "not recursive: its first value is settled"
    else:
        assert unmasked.argmin() == feature.warmup, "its first value comes earlier than declared"


def check_starts(feature: Feature, bars: Bars) -> None:
    """After the warm-up, values agree whichever bar the series starts at."""
    whole = feature.values(bars)
    for start in (1, 97, 310, 555):
        values = feature.values(bars.rows(start, len(bars)))
        apart = ~close_to(values, whole[start:], TOLERANCE)
        apart[: feature.warmup] = False
        allowed = 0.005 if feature.unit == "state" else 0.0
        assert apart.mean() <= allowed, f"started at {start}: bar {apart.argmax()} differs"


def check_inputs(feature: Feature, bars: Bars) -> None:
    """Reads every field that it declares, and none that it does not."""
    whole = feature.values(bars)
    for field in INPUTS:
        if field == "open_time":
            values = feature.values(replace(bars, open_time=bars.open_time + 12_345 * MINUTE_MS))
        else:
            values = with_others(feature, partial(shaken, field=field, seed=3)).values(shaken(bars, field, 2))
        same = np.array_equal(values, whole, equal_nan=True)
        if field not in feature.inputs:
            assert same, f"{field}: read but not declared"
        elif feature.unit != "state":  # a code may hide a small change
            assert not same, f"{field}: declared but not read"


def shaken(bars: Bars, field: str, seed: int) -> Bars:
    """Another value of this field in every bar."""
    noise = np.exp(np.random.default_rng(seed).normal(0.0, 0.01, len(bars)))
    untraded = np.arange(len(bars)) % 7 == 0 if field == "volume" else False
    return replace(bars, **{field: np.where(untraded, 0.0, getattr(bars, field) * noise)})


def check_unmutated(feature: Feature, bars: Bars) -> None:
    """Leaves the bars and what it shares with other features as they were."""
    before = bars.data_hash
    series = prepared(feature, bars)
    shared = [series.open_time, *(getattr(series, field) for field in FIELDS), series.log_return,
              series.peers.log_close, series.peers.volume]
    untouched = hash_arrays(shared)
    feature.values(series)
    assert hash_arrays(shared) == untouched, "changed a shared series"
    assert replace(bars).data_hash == before, "changed the bars"


def check_finite(feature: Feature, bars: Bars) -> None:
    """NaN where undefined, never infinite, in float32 too, and inside its declared range."""
    with np.errstate(over="raise"):
        values = feature.values(bars).astype(np.float32)
    assert values.shape == (len(bars),)
    assert not np.isinf(values).any(), f"infinite at bar {np.isinf(values).argmax()}"
    if feature.bounds is not None:
        low, high = feature.bounds
        slack = 1e-6 * max(abs(bound) for bound in feature.bounds if np.isfinite(bound)) + 1e-9
        assert not (values < low - slack).any(), f"{np.nanmin(values)} is below {low}"
        assert not (values > high + slack).any(), f"{np.nanmax(values)} is above {high}"


def check_scale(feature: Feature, bars: Bars) -> None:
    """A price or volume ten times as high multiplies the value as the unit says."""
    whole = feature.values(bars)
    unit = UNITS[feature.unit]
    for fields, power in ((PRICES, unit.price_power), (("volume",), unit.volume_power)):
        tenfold = partial(multiplied, fields=fields)
        scaled = with_others(feature, tenfold).values(tenfold(bars))
        assert close_to(scaled / 10.0**power, whole, 1e-6).mean() >= 0.999, f"scale of {fields[-1]}"


def multiplied(bars: Bars, fields: tuple[str, ...]) -> Bars:
    return replace(bars, **{field: getattr(bars, field) * 10.0 for field in fields})


def check_deterministic(feature: Feature, bars: Bars) -> None:
    """The same bars give the same bits."""
    np.testing.assert_array_equal(feature.values(bars), feature.values(replace(bars)))


def check_leak(feature: Feature, bars: Bars) -> None:
    """The check that the day itself trusts (its canaries are caught by it) finds no look into the future."""
    leak = first_leak(feature.values, bars, (max(feature.warmup, 30) + 2, len(bars) // 2, len(bars) - 1))
    assert leak is None, leak.text if leak else ""


Check = Callable[[Feature, Bars], None]
ON_ALL_BARS: tuple[Check, ...] = (
    check_prefixes, check_future, check_leak, check_finite, check_unmutated, check_deterministic)
ON_MOVING_BARS: tuple[Check, ...] = (check_warmup, check_starts, check_inputs, check_scale)


def breaches(check: Check, features: list[Feature], bars: Bars) -> dict[str, str]:
    """What each feature that fails the check did."""
    found = {}
    for feature in features:
        try:
            check(feature, bars)
        except AssertionError as error:
            found[feature.name] = str(error).strip()[:300]
    return found


# ---- the suite


@pytest.mark.parametrize("check", ON_ALL_BARS)
def test_every_feature_keeps_its_promise_on_all_bars(check: Check, bars: Bars):
    assert breaches(check, subjects(bars), bars) == {}


@pytest.mark.parametrize("check", ON_MOVING_BARS)
def test_every_feature_keeps_its_promise_on_moving_bars(check: Check):
    assert breaches(check, subjects(random_bars()), random_bars()) == {}


@pytest.mark.shared
def test_every_feature_settles_on_recorded_bars(shared_data: Path):
    path = shared_data / "candles/binance_usdm/1m/ETHUSDT_2023-07-18_2023-08-17.parquet"
    bars = recorded(path, "1m", 5_000, 1500)
    assert breaches(check_starts, subjects(bars), bars) == {}


@pytest.mark.shared
def test_every_feature_scales_on_recorded_ticks(shared_data: Path):
    """Equal ticks stay equal in any unit, though their decimals are rounded otherwise."""
    bars = recorded(shared_data / "candles/okx_swap/1m/BNBUSDT_2025-03-18_2025-04-17.parquet", "1m", 8_000, 1500)
    assert breaches(check_scale, subjects(bars), bars) == {}


@pytest.mark.parametrize(("market", "bars"), hostile_bars().items(), ids=hostile_bars())
def test_no_market_makes_a_feature_infinite(market: str, bars: Bars):
    calm = tuple(replace(bars, symbol=symbol) for symbol in ("BTCUSDT", "SOLUSDT"))
    for others in (others_of(random_bars(900)), calm):
        features = [beside(feature, others) if feature.reads_peers else feature for feature in catalog().values()]
        assert breaches(check_finite, features, bars) == {}
    compute(bars)


def test_recursive_warmups_are_not_longer_than_they_need_to_be():
    """At half of the declared length, some start still disagrees."""
    bars = random_bars(2000)
    for feature in catalog().values():
        if feature.recursive and feature.unit != "state":
            hasty = replace(feature, warmup=int(feature.warmup * 0.5))
            assert breaches(check_starts, [hasty], bars), feature.name


def test_two_runs_give_the_same_table_bit_for_bit(bars: Bars):
    assert compute(bars).values.tobytes() == compute(replace(bars)).values.tobytes()


@pytest.mark.shared
def test_no_feature_repeats_another(shared_data: Path):
    path = shared_data / "candles/binance_usdm/1m/ETHUSDT_2023-07-18_2023-08-17.parquet"
    folder = path.parent
    named = {symbol: folder / f"{symbol}_2023-07-18_2023-08-17.parquet" for symbol in ("BTCUSDT", "ETHUSDT", "BNBUSDT")}
    table = compute_panel({symbol: recorded(file, "1m", 5_000, 6_000) for symbol, file in named.items()})["ETHUSDT"]
    defined = np.isfinite(table.values).all(axis=1)
    varied = [name for name in table.names if np.ptp(table.column(name)[defined]) > 0]
    alike = np.abs(np.corrcoef(table.select(varied).values[defined].astype(np.float64), rowvar=False)) > 0.9999
    assert len(varied) >= 126
    assert [(varied[i], varied[j]) for i, j in np.argwhere(alike) if i < j] == []


# ---- mutants: each breaks one promise, and the named check must see it


def shifted_back(series: Series) -> np.ndarray:
    return np.append(series.log_return[1:], np.nan)


def centred(series: Series) -> np.ndarray:
    return np.convolve(series.close, np.ones(21) / 21, mode="same") / series.close


def scaled_by_the_whole(series: Series) -> np.ndarray:
    return (series.log_return - np.nanmean(series.log_return)) / (np.nanstd(series.log_return) + 1e-12)


def filled_back(series: Series) -> np.ndarray:
    values = catalog()["realised_60"].function(series).copy()
    values[:60] = values[60]
    return values


def last_value_of_the_sample(series: Series) -> np.ndarray:
    return series.close / series.close[-1]


def rescaled_writing(series: Series) -> np.ndarray:
    series.log_return[1:] *= 2.0
    return series.log_return


def divided_by_zero(series: Series) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.abs(series.log_return) / np.where(series.volume > 1.0, 1.0, 0.0)


def random_noise(series: Series) -> np.ndarray:
    return np.random.default_rng().normal(size=series.length)


def smoothed_regime(series: Series) -> np.ndarray:
    """Kim's (1994) smoother over the filtered probabilities: each looks at the whole sample."""
    filtered = filtered_probability(standardised(series, 480), CALM, WILD, STAY_CALM, STAY_WILD)
    smoothed = filtered.copy()
    for i in range(series.length - 2, -1, -1):
        if np.isfinite(filtered[i]):
            ahead = filtered[i] * STAY_WILD + (1.0 - filtered[i]) * (1.0 - STAY_CALM)
            stayed = filtered[i] * STAY_WILD / ahead * smoothed[i + 1]
            left = filtered[i] * (1.0 - STAY_WILD) / (1.0 - ahead) * (1.0 - smoothed[i + 1])
            smoothed[i] = stayed + left
    return smoothed


def leader_ahead(series: Series) -> np.ndarray:
    return np.append(leader_return(series, 1)[1:], np.nan)


def leader_filled_back(series: Series) -> np.ndarray:
    values = leader_return(series, 5).copy()
    values[:5] = values[5]
    return values


def basket_of_the_whole(series: Series) -> np.ndarray:
    closes = series.peers.log_close
    return np.nanmean(closes - closes[:, -1:], axis=0)


def mutant(function: Callable[[Series], np.ndarray], *, warmup: int = 0, inputs: tuple[str, ...] = ("close",),
           unit: str = "ratio", recursive: bool = False, bounds: tuple[float, float] | None = None,
           group: str = "return") -> Feature:
    return Feature("mutant", group, inputs, warmup, unit, "A feature that breaks a promise.", "this test", function,
                   recursive, bounds)


def across(function: Callable[[Series], np.ndarray], **declared: object) -> Beside:
    return beside(mutant(function, inputs=("open_time", "close"), group="cross", **declared), others_of(random_bars()))


def of(name: str) -> Feature:
    return catalog()[name]


MUTANTS: list[tuple[Check, Feature]] = [
    (check_prefixes, mutant(shifted_back)),
    (check_future, mutant(shifted_back)),
    (check_leak, mutant(shifted_back)),
    (check_warmup, mutant(shifted_back)),
    (check_prefixes, mutant(centred)),
    (check_future, mutant(centred)),
    (check_leak, mutant(centred)),
    (check_leak, mutant(scaled_by_the_whole, warmup=1)),
    (check_leak, mutant(last_value_of_the_sample)),
    (check_leak, mutant(smoothed_regime, warmup=481, recursive=True)),
    (check_prefixes, mutant(scaled_by_the_whole, warmup=1)),
    (check_future, mutant(scaled_by_the_whole, warmup=1)),
    (check_starts, mutant(scaled_by_the_whole, warmup=1)),
    (check_warmup, mutant(filled_back, warmup=60)),
    (check_future, mutant(filled_back)),
    (check_starts, mutant(filled_back)),
    (check_prefixes, mutant(last_value_of_the_sample)),
    (check_future, mutant(last_value_of_the_sample)),
    (check_starts, mutant(lambda series: np.cumsum(series.close) / series.close)),
    (check_unmutated, mutant(rescaled_writing, warmup=1)),
    (check_finite, mutant(divided_by_zero, warmup=1, inputs=("close", "volume"))),
    (check_finite, replace(of("rsi_14"), bounds=(0.0, 60.0))),
    (check_finite, replace(of("rsi_14"), bounds=(40.0, 100.0))),
    (check_prefixes, mutant(smoothed_regime, warmup=481, recursive=True)),
    (check_future, mutant(smoothed_regime, warmup=481, recursive=True)),
    (check_prefixes, across(leader_ahead)),
    (check_future, across(leader_ahead)),
    (check_warmup, across(leader_filled_back, warmup=5)),
    (check_prefixes, across(basket_of_the_whole)),
    (check_future, across(basket_of_the_whole)),
    (check_inputs, across(lambda series: series.log_return, warmup=1)),
    (check_deterministic, mutant(random_noise)),
    (check_warmup, replace(of("realised_60"), warmup=59)),
    (check_warmup, replace(of("realised_60"), warmup=61)),
    (check_warmup, replace(of("realised_60"), recursive=True)),
    (check_starts, replace(of("rsi_14"), warmup=14)),
    (check_inputs, replace(of("rsi_14"), inputs=("close", "high"))),
    (check_inputs, replace(of("atr_14"), inputs=("high", "low"))),
    (check_scale, mutant(lambda series: series.close / series.price_scale)),
    (check_scale, mutant(lambda series: series.volume / 7.0, inputs=("volume",))),
    (check_scale, replace(of("amihud_60"), unit="ratio")),
]


@pytest.mark.parametrize(("check", "broken"), MUTANTS)
def test_the_suite_catches(check: Check, broken: Feature):
    assert breaches(check, [broken], random_bars())


def test_a_check_passes_what_is_sound():
    sound = mutant(partial(np.multiply, 1.0), warmup=0)
    sound = replace(sound, function=lambda series: np.exp(-series.log_range), inputs=("high", "low"))
    for check in (*ON_ALL_BARS, *ON_MOVING_BARS):
        assert breaches(check, [sound], random_bars()) == {}


# ---- tables: weeks, markets and timeframes put together


def minutes(count: int, symbol: str = "ETHUSDT", seed: int = 7) -> Bars:
    """Minute bars from Friday 2022-12-30 12:00 UTC on, so that a week ends among them."""
    bars = random_bars(count, seed)
    return replace(bars, symbol=symbol, open_time=bars.open_time - 36 * 60 * MINUTE_MS)


def test_a_table_never_changes_when_bars_are_appended_or_later_ones_corrupted():
    bars = minutes(4_200)
    whole = compute(bars)
    for length in (1_000, 3_600, 3_601, 4_199):
        assert compute(bars.rows(0, length)).values.tobytes() == whole.values[:length].tobytes()
        broken = compute(corrupted(bars, int(bars.open_time[length])))
        np.testing.assert_array_equal(broken.values[:length], whole.values[:length])


def test_a_panel_never_changes_when_bars_are_appended_to_any_market_or_later_ones_corrupted():
    panel = {symbol: minutes(4_200, symbol, seed) for seed, symbol in enumerate(("BTCUSDT", "ETHUSDT", "SOLUSDT"))}
    whole = compute_panel(panel)
    for length in (1_000, 3_601):
        cut = int(panel["ETHUSDT"].open_time[length])
        for changed in (
            {symbol: bars.rows(0, length) for symbol, bars in panel.items()},
            panel | {"ETHUSDT": panel["ETHUSDT"].rows(0, length)},
            {symbol: corrupted(bars, cut) for symbol, bars in panel.items()},
        ):
            for symbol, table in compute_panel(changed).items():
                np.testing.assert_array_equal(table.values[:length], whole[symbol].values[:length])


Context = Callable[..., np.ndarray]


def closed_hours(minute: Bars, hours: Bars) -> np.ndarray:
    return as_of(compute(hours, ("return_1", "range_1")), "60m", minute.close_time).values


def labelled_early(minute: Bars, hours: Bars) -> np.ndarray:
    """The hour that a minute lies in, by its label: its close is up to 59 minutes away."""
    table = compute(hours, ("return_1", "range_1"))
    return table.values[np.searchsorted(table.open_time, minute.open_time, side="right") - 1]


def check_context(context: Context, minute: Bars) -> None:
    """What a minute knows of the hours does not change with the minutes after it."""
    whole = context(minute, aggregate(minute, "60m"))
    for cut in (250, 299, 300, 301, 359):
        broken = corrupted(minute, int(minute.open_time[cut]))
        np.testing.assert_array_equal(context(broken, aggregate(broken, "60m"))[:cut], whole[:cut], err_msg=f"{cut}")


def test_a_longer_timeframe_is_known_from_its_close():
    check_context(closed_hours, random_bars(600))


def test_the_suite_catches_a_longer_timeframe_that_is_labelled_early():
    with pytest.raises(AssertionError, match="250"):
        check_context(labelled_early, random_bars(600))
