"""The sources of settings: defaults, file, environment, flags."""

from __future__ import annotations

from pathlib import Path

import pytest

from web.settings.problems import SettingsError
from web.settings.sources import Flag, LoadedSettings, default_config_file, load_settings


@pytest.fixture(autouse=True)
def _home_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))


def load(
    toml: str | None = None, environment: dict[str, str] | None = None, *flags: Flag
) -> LoadedSettings:
    """Load from a file with this text, this environment and these flags."""
    config = None
    if toml is not None:
        config = Path.home().parent / "given.toml"
        config.write_text(toml, encoding="utf-8")
    return load_settings(flags, config=config, environment=environment or {})


def refusal(*layers: object) -> str:
    with pytest.raises(SettingsError) as caught:
        load(*layers)  # type: ignore[arg-type]
    return str(caught.value)


def test_without_any_source_everything_is_a_default() -> None:
    loaded = load()

    assert set(loaded.origins.values()) == {"default"}
    assert loaded.settings.data_dir == Path.home().parent / "share" / "terzetto"


def test_a_later_source_wins_and_is_named(tmp_path: Path) -> None:
    toml = "grace_s = 1\nmax_running_tasks = 1\nmax_queued_tasks = 1\n"
    environment = {"TERZETTO_MAX_RUNNING_TASKS": "2", "TERZETTO_MAX_QUEUED_TASKS": "2"}

    loaded = load(toml, environment, Flag("--set", "max_queued_tasks", "3"))

    settings = loaded.settings
    assert (settings.grace_s, settings.max_running_tasks, settings.max_queued_tasks) == (1, 2, 3)
    assert loaded.origins["grace_s"] == f"file {tmp_path / 'given.toml'}"
    assert loaded.origins["max_running_tasks"] == "environment TERZETTO_MAX_RUNNING_TASKS"
    assert loaded.origins["max_queued_tasks"] == "flag --set"
    assert loaded.origins["bind"] == "default"


def test_the_file_of_the_environment_replaces_the_flag(tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text("grace_s = 7\n")

    loaded = load(None, {"TERZETTO_CONFIG": str(tmp_path / "other.toml")})

    assert loaded.settings.grace_s == 7


def test_the_file_at_the_platforms_place_is_read_if_it_exists() -> None:
    default_config_file().parent.mkdir(parents=True)
    default_config_file().write_text("grace_s = 8\n")

    assert load().settings.grace_s == 8


def test_a_tuple_in_the_environment_is_separated_by_commas() -> None:
    loaded = load(None, {"TERZETTO_RETRY_DELAYS_S": "0, 0.5,2"})

    assert loaded.settings.retry_delays_s == (0.0, 0.5, 2.0)


def test_a_tuple_in_a_file_may_be_empty() -> None:
    assert load("retry_delays_s = []\n").settings.retry_delays_s == ()


@pytest.mark.parametrize(("said", "meant"), [("true", True), ("1", True), ("no", False)])
def test_a_boolean_can_be_set_in_any_source(said: str, meant: bool) -> None:
    in_file = load(f"fetch_private = {str(meant).lower()}\n").settings
    in_environment = load(None, {"TERZETTO_FETCH_PRIVATE": said}).settings
    in_flag = load(None, {}, Flag("--set", "fetch_private", said)).settings

    assert [s.fetch_private for s in (in_file, in_environment, in_flag)] == [meant] * 3


def test_an_empty_variable_counts_as_not_set() -> None:
    assert load(None, {"TERZETTO_GRACE_S": ""}).origins["grace_s"] == "default"


def test_a_folder_in_a_file_is_relative_to_the_file(tmp_path: Path) -> None:
    assert load('data_dir = "here"\n').settings.data_dir == tmp_path / "here"


def test_a_folder_in_the_environment_is_relative_to_home_or_the_working_directory() -> None:
    assert load(None, {"TERZETTO_DATA_DIR": "~/x"}).settings.data_dir == Path.home() / "x"
    assert load(None, {"TERZETTO_DATA_DIR": "x"}).settings.data_dir == Path.cwd() / "x"


def test_a_misspelled_variable_is_a_warning_with_the_right_one() -> None:
    loaded = load(None, {"TERZETTO_MAX_RUNING_TASKS": "3", "TERZETTO_ZZZ": "hush"})

    first, second = loaded.warnings
    assert "TERZETTO_MAX_RUNING_TASKS is ignored" in first
    assert "Did you mean TERZETTO_MAX_RUNNING_TASKS?" in first
    assert "TERZETTO_ZZZ" in second and "terzetto settings" in second and "hush" not in second


def test_an_unknown_key_in_the_file_is_reported_with_the_file(tmp_path: Path) -> None:
    told = refusal("grace = 3\n")

    assert f"grace = 3  (file {tmp_path / 'given.toml'})" in told
    assert "Did you mean grace_s?" in told


def test_a_name_like_no_setting_points_to_the_list() -> None:
    assert "terzetto settings" in refusal("[zzz]\nqq = 1\n")


@pytest.mark.parametrize(
    ("layers", "parts"),
    [
        (
            ("max_running_tasks = 0\n",),
            ("max_running_tasks = 0", "a whole number from 1 to 65,536"),
        ),
        (("max_running_tasks = true\n",), ("max_running_tasks = True", "a whole number")),
        (("fetch_private = 7\n",), ("fetch_private = 7", "true or false")),
        ((None, {"TERZETTO_FETCH_PRIVATE": "maybe"}), ("fetch_private = maybe", "true or false")),
        (("max_running_tasks = 1.5\n",), ("max_running_tasks = 1.5", "a whole number")),
        ((None, {"TERZETTO_GRACE_S": "soon"}), ("environment TERZETTO_GRACE_S", "from 0 to 600")),
        ((None, {"TERZETTO_GRACE_S": "nan"}), ("grace_s = nan", "a number from 0 to 600")),
        ((None, {"TERZETTO_RETRY_DELAYS_S": "1,x"}), ("1, x", "separated by commas")),
        ((None, {"TERZETTO_BIND": "::1:80"}), ("bind = ::1:80", "[::1]:8000")),
        ((None, {}, Flag("--bind", "bind", "x:y")), ("flag --bind", "not a port number")),
        ((None, {}, Flag("--set", "bnd", "x")), ("bnd = x  (flag --set)", "Did you mean bind?")),
    ],
)
def test_a_bad_value_is_reported_with_origin_and_what_is_allowed(
    layers: tuple[object, ...], parts: tuple[str, ...]
) -> None:
    told = refusal(*layers)

    for part in parts:
        assert part in told


def test_all_problems_are_reported_at_once() -> None:
    told = refusal("grace = 1\n", {"TERZETTO_GRACE_S": "-1"}, Flag("--set", "bind", "x"))

    assert len(told.split("\n    ")) == 4


def test_a_named_file_must_exist_and_be_toml(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no such file"):
        load_settings(config=tmp_path / "nowhere.toml", environment={})
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(config=tmp_path, environment={})
    assert "It is not TOML" in refusal("grace_s = \n")


def test_models_are_named_in_a_file() -> None:
    toml = """
        model = "openai:gpt-5-mini"
        fallback = ["local", "extractive"]
        [prices]
        "openai:gpt-5-mini" = [0.25, 2.0]
        """

    settings = load(toml).settings

    assert (settings.model, settings.fallback) == ("openai:gpt-5-mini", ("local", "extractive"))
    assert settings.prices == {"openai:gpt-5-mini": (0.25, 2.0)}


def test_models_are_named_in_the_environment_and_by_flags() -> None:
    environment = {
        "TERZETTO_MODEL": "anthropic:claude-haiku-5-5",
        "TERZETTO_FALLBACK": "openai:qwen3:8b, extractive",
        "TERZETTO_PRICES": "qwen3:8b=0/0.5, claude-haiku-5-5 = 1/5",
        "TERZETTO_OPENAI_BASE_URL": "http://localhost:11434/v1/",
        "TERZETTO_ALLOWED_HOSTS": "a.example, b.example",
    }

    settings = load(None, environment, Flag("--model", "model", "local")).settings

    assert settings.model == "local"
    assert settings.fallback == ("openai:qwen3:8b", "extractive")
    assert settings.prices == {"qwen3:8b": (0, 0.5), "claude-haiku-5-5": (1, 5)}
    assert settings.openai_base_url == "http://localhost:11434/v1"
    assert settings.allowed_hosts == ("a.example", "b.example")


@pytest.mark.parametrize(
    ("environment", "part"),
    [
        (
            {"TERZETTO_MODEL": "gpt-5"},
            "'gpt-5' is not a model name. Use openai:NAME, anthropic:NAME, local",
        ),
        ({"TERZETTO_MODEL": "openai"}, "'openai' lacks the model's name: openai:NAME"),
        ({"TERZETTO_FALLBACK": "local,claude"}, "'claude' is not a model name"),
        ({"TERZETTO_FALLBACK": "extractive,local"}, "nothing can come after it"),
        ({"TERZETTO_OPENAI_BASE_URL": "localhost:8080"}, "begins with http:// or https://"),
        ({"TERZETTO_OPENAI_BASE_URL": "http://me:key@host/v1"}, "holds no key"),
        ({"TERZETTO_PRICES": "gpt-5"}, "NAME=READ/WRITTEN"),
        ({"TERZETTO_PRICES": "gpt-5=1"}, "NAME=READ/WRITTEN"),
        ({"TERZETTO_PRICES": "gpt-5=-1/2"}, "NAME=READ/WRITTEN"),
    ],
)
def test_an_invalid_model_is_reported(environment: dict[str, str], part: str) -> None:
    assert part in refusal(None, environment)
