"""Settings: file < environment < command line, and clear refusals."""

from __future__ import annotations

from pathlib import Path

import pytest

from daybook.core.errors import UsageError
from daybook.core.settings import PARAMETERS, Settings, load_settings, parse_parameters


def config(folder: Path, text: str) -> Path:
    path = folder / "settings.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_environment_wins_over_file_and_command_line_over_both(tmp_path: Path) -> None:
    file = config(tmp_path, 'seed = 1\nfee_bps = 1.0\nsymbols = ["BTCUSDT"]\n')
    environment = {"DAYBOOK_SEED": "2", "DAYBOOK_FEE_BPS": "2"}
    settings = load_settings({"seed": "3"}, file, environment)
    assert (settings.seed, settings.fee_bps, settings.symbols) == (3, 2.0, ("BTCUSDT",))


def test_lists_and_mappings_are_read_from_the_environment() -> None:
    environment = {"DAYBOOK_SYMBOLS": "BTCUSDT, ETHUSDT", "DAYBOOK_SPREAD_BPS": '{"BTCUSDT": 1, "default": 4}'}
    settings = load_settings({}, None, environment)
    assert settings.symbols == ("BTCUSDT", "ETHUSDT")
    assert settings.spread_bps == {"BTCUSDT": 1.0, "default": 4.0}


@pytest.mark.parametrize(
    ("given", "environment", "words"),
    [
        ({}, {"DAYBOOK_SEEED": "1"}, ["environment", "DAYBOOK_SEEED", "DAYBOOK_SEED"]),
        ({}, {"DAYBOOK_SEED": "x"}, ["environment", "seed", "'x'", "integer"]),
        ({}, {"DAYBOOK_FEE_BPS": "nan"}, ["environment", "fee_bps", "finite"]),
        ({"symbols": "btc"}, {}, ["command line", "symbols", "btc"]),
        ({"symbols": "BTCUSDT,BTCUSDT"}, {}, ["command line", "symbols", "only once"]),
        ({"jobs": "0"}, {}, ["command line", "jobs", "greater than or equal to 1"]),
        ({"source": "ftp"}, {}, ["command line", "source", "synthetic"]),
        ({"seed": True}, {}, ["command line", "seed", "true and false"]),
        ({}, {"DAYBOOK_SPREAD_BPS": "true"}, ["environment", "spread_bps", "true and false"]),
        ({}, {"DAYBOOK_SPREAD_BPS": '{"A": 1, "A": 2}'}, ["environment", "spread_bps", "only once"]),
        ({}, {"DAYBOOK_SPREAD_BPS": "[" * 100_000}, ["environment", "spread_bps", "nested too deeply"]),
    ],
)
def test_a_bad_setting_names_its_source_value_and_what_is_allowed(
    given: dict[str, str], environment: dict[str, str], words: list[str]
) -> None:
    with pytest.raises(UsageError) as refused:
        load_settings(given, None, environment)
    for word in words:
        assert word in str(refused.value)


@pytest.mark.parametrize("text", ["unknown = 1\n", "[nested]\nseed = 1\n"])
def test_an_unknown_key_in_the_file_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match=r"file: .* is not a setting"):
        load_settings({}, config(tmp_path, text), {})


@pytest.mark.parametrize("text", ["seed = true\n", "jobs = false\n", "fee_bps = true\n"])
def test_a_truth_value_in_the_file_is_no_number(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match=r"file: .*true and false are not numbers"):
        load_settings({}, config(tmp_path, text), {})


def test_a_broken_or_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not valid TOML"):
        load_settings({}, config(tmp_path, "seed = = 1"), {})
    with pytest.raises(UsageError, match="not a file"):
        load_settings({}, tmp_path / "absent.toml", {})


def test_secrets_are_masked_in_dumps_reprs_and_errors() -> None:
    canary = "sk-canary-0123456789"
    settings = load_settings({}, None, {"DAYBOOK_ANTHROPIC_API_KEY": canary})
    assert canary not in str(settings.masked()) + repr(settings)
    assert settings.secrets() == (canary,)
    with pytest.raises(UsageError) as refused:
        load_settings({"anthropic_api_key": [canary]}, None, {})
    assert canary not in str(refused.value)


def test_parameters_are_typed_by_their_field() -> None:
    parsed = parse_parameters(["fee_bps=10", "spread_bps=3", "timeframes=1m,5m", "horizon_bars=6"])
    assert parsed == {"fee_bps": 10.0, "spread_bps": 3.0, "timeframes": ("1m", "5m"), "horizon_bars": 6}


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        ("fee=1", ["'fee' is not a parameter", "fee_bps"]),
        ("seed=1", ["'seed' is not a parameter"]),
        ("fee_bps", ["name=value"]),
        ("fee_bps=abc", ["fee_bps", "'abc'", "number"]),
        ("fee_bps=-1", ["greater than or equal to 0"]),
        ("fee_bps=inf", ["finite"]),
        ("horizon_bars=6.5", ["integer"]),
        ("timeframes=1m,2m", ["'1m', '5m' or '60m'"]),
        ("x;import os=1", ["is not a parameter"]),
    ],
)
def test_a_bad_parameter_is_refused(pair: str, words: list[str]) -> None:
    with pytest.raises(UsageError) as refused:
        parse_parameters([pair])
    for word in words:
        assert word in str(refused.value)


def test_a_repeated_parameter_is_refused() -> None:
    with pytest.raises(UsageError, match="given twice"):
        parse_parameters(["fee_bps=1", "fee_bps=2"])


def test_every_setting_stands_in_the_example_file() -> None:
    example = (Path(__file__).parents[2] / ".env.example").read_text(encoding="utf-8")
    listed = {line.lstrip("# ").split("=")[0] for line in example.splitlines() if "DAYBOOK_" in line and "=" in line}
    assert listed == {f"DAYBOOK_{name.upper()}" for name in Settings.model_fields}


def test_every_parameter_has_a_unit_and_a_description() -> None:
    for name, field in PARAMETERS.items():
        assert isinstance(field.json_schema_extra, dict)
        assert field.json_schema_extra["unit"], name
        assert field.description, name
