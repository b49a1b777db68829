"""From labelled headlines to an artifact that numpy serves: what is read, what is refused, what is served."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from console.context import CommandError
from console.train_sentiment import run_train_sentiment
from libs.core.agents.sentiment_lexicon import LexiconModel
from libs.research.training.sentiment import fit
from libs.research.training.sentiment.artifact import MANIFEST, PLAIN, ArtifactProblem, load_stack, write_folder
from libs.research.training.sentiment.data import DataProblem, load_labelled
from libs.research.training.sentiment.train import Trained, train_sentiment
from services.predict.headline_models import open_model

SUBJECTS = (
    "Acme",
    "Bolt Energy",
    "Coral Bank",
    "Delta Foods",
    "Echo Mines",
    "Fjord Shipping",
    "Gale Motors",
    "Hill & Co",
)
PHRASES = {
    "positive": ("shares soar on zorbly demand", "a zorbly quarter behind it", "finds its trade zorbly"),
    "negative": ("shares sink on grumby demand", "a grumby quarter behind it", "finds its trade grumby"),
    "neutral": ("opens an office in Oslo", "to hold its annual meeting", "names a new chairman"),
}


def corpus() -> list[tuple[str, str]]:
    return [
        (f"{subject} {phrase} in {year}", label)
        for label, phrases in PHRASES.items()
        for phrase in phrases
        for subject in SUBJECTS
        for year in (2019, 2020)
    ]


class Quiet:
    """Steps that only remember their names."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def begin(self, what: str, total: int) -> Callable[[int], object]:
        self.names.append(what)
        return lambda done: None


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("headlines") / "train.txt"
    path.write_text("\n".join(f"{text}@{label}" for text, label in corpus()))
    return path


@pytest.fixture(scope="module")
def trained(data: Path) -> Trained:
    return train_sentiment(data, data.parent / "model", Quiet(), test=data, folds=3)


def test_the_stack_learns_what_the_lexicon_cannot_know(trained: Trained) -> None:
    assert (
        trained.held_out["stack"].accuracy
        > trained.held_out["lexicon"].accuracy
        > trained.held_out["majority"].accuracy
    )
    assert trained.held_out["stack"].accuracy > 0.95
    assert trained.test_seen == sum(trained.rows.values())


def test_the_served_model_says_what_was_judged(data: Path, trained: Trained) -> None:
    assert trained.out is not None
    model = load_stack(trained.out, embeddings=False)
    known = load_labelled(data)
    inputs = fit.read_inputs(known.texts, None)
    stack = fit.fit_stack(inputs, known.labels)
    with np.load(trained.out / PLAIN) as arrays:
        stack["temperature"] = arrays["temperature"]
    judged = fit.predict_stack(stack, inputs)
    served = np.array([model.score(text)[1:] for text in known.texts])
    np.testing.assert_allclose(served, judged, atol=1e-6)


def test_the_same_headlines_give_the_same_model(data: Path, trained: Trained, tmp_path: Path) -> None:
    again = train_sentiment(data, tmp_path / "again", Quiet(), folds=3)
    assert again.model_id == trained.model_id


def test_the_manifest_tells_where_it_comes_from(trained: Trained) -> None:
    assert trained.out is not None
    manifest = json.loads((trained.out / MANIFEST).read_text())
    assert manifest["model_id"] == trained.model_id
    assert manifest["data"]["rows"] == {"down": 48, "neutral": 48, "up": 48}
    assert manifest["cross_validated"]["stack"]["accuracy"] == trained.held_out["stack"].accuracy


def spoil(folder: Path, how: str) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    match how:
        case "cut":
            (folder / PLAIN).write_bytes((folder / PLAIN).read_bytes()[:-100])
        case "missing":
            (folder / PLAIN).unlink()
        case "manifest":
            (folder / MANIFEST).write_text("{")
        case "foreign":
            (folder / MANIFEST).write_text(json.dumps({**manifest, "kind": "trend"}))
        case "words":
            (folder / MANIFEST).write_text(json.dumps({**manifest, "lexicon": "lexicon.0:x"}))
        case "outside":
            (folder / MANIFEST).write_text(json.dumps({**manifest, "files": {"../x": "0"}}))


@pytest.mark.parametrize(
    ("how", "line"),
    [
        ("cut", "stack.npz is not the file that was written"),
        ("missing", "no model can be read from it (No such file or directory"),
        ("manifest", "no model can be read from it (JSONDecodeError"),
        ("foreign", "a model of kind trend 1, not sentiment 1"),
        ("words", "was fitted on other word lists than this version has"),
        ("outside", "the manifest names a file outside it"),
    ],
)
def test_a_spoiled_model_is_refused_in_one_line_and_the_lexicon_serves(
    data: Path, tmp_path: Path, how: str, line: str
) -> None:
    folder = tmp_path / "model"
    write_small(data, folder)
    spoil(folder, how)
    with pytest.raises(ArtifactProblem) as refused:
        load_stack(folder, embeddings=False)
    assert line in str(refused.value)
    model, notes = open_model(folder, None)
    assert model.model_id == LexiconModel.model_id
    assert len(notes) == 1
    assert line in notes[0]


def write_small(data: Path, folder: Path) -> None:
    """A model of few n-grams, made in no time."""
    known = load_labelled(data)
    inputs = fit.read_inputs(known.texts[:3] + known.texts[60:63] + known.texts[-3:], None)
    stack = fit.fit_stack(inputs, np.repeat([2, 0, 1], 3))
    from libs.research.training.sentiment.artifact import packed

    write_folder(folder, {PLAIN: packed(stack)}, {"model_id": "stack.1:small", "lexicon": LexiconModel.model_id})


def test_the_best_model_there_is_serves(data: Path, tmp_path: Path) -> None:
    write_small(data, tmp_path / "model")
    model, notes = open_model(tmp_path / "model", tmp_path / "no_finbert")
    assert model.model_id == "stack.1:small"
    assert [note.split(": ")[-1][:30] for note in notes] == [
        notes[0].split(": ")[-1][:30],
        "was trained without sentence e",
    ]
    assert "config.json cannot be used" in notes[0]


def test_nothing_is_written_over_what_is_no_model(data: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ArtifactProblem, match="holds something else"):
        write_folder(tmp_path, {}, {})
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_model_replaces_the_one_before_it_whole(data: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_folder(tmp_path / "model", {f"{name}.bin": b"x"}, {"model_id": name})
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == [MANIFEST, "two.bin"]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", 'text,label\n"Up, up",1\nDown,-1\nFlat,0\n'),
        ("a.csv", 'Sentence,Sentiment\n"Up, up",Positive\nDown,negative\nFlat,neutral\n'),
        ("a.tsv", "headline\tclass\nUp, up\tbullish\nDown\tbearish\nFlat\tneutral\n"),
        ("a.jsonl", '{"text": "Up, up", "label": 1}\n{"title": "Down", "label": -1}\n{"text": "Flat", "label": 0}\n'),
        ("a.txt", "Up, up@positive\nDown@negative\nFlat@neutral\n\n"),
    ],
)
def test_headlines_are_read_from_every_kind_of_file(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    found = load_labelled(tmp_path / name)
    assert found.texts == ("Up, up", "Down", "Flat")
    assert found.labels.tolist() == [2, 0, 1]


def test_a_text_is_taken_once(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Up@positive\nUp  @negative\nDown@negative\n")
    found = load_labelled(tmp_path / "a.txt")
    assert (found.texts, found.labels.tolist(), found.repeats) == (("Up", "Down"), [2, 0], 1)


def test_numbers_mean_what_they_are_said_to_mean(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\nDown,0\nUp,1\nFlat,2\n")
    found = load_labelled(tmp_path / "a.csv", ("bearish", "bullish", "neutral"))
    assert found.labels.tolist() == [0, 2, 1]


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("a.csv", "text,label\nx,0\ny,1\n", "labels 0, 1 are numbers; say what 0, 1, 2 mean: --labels"),
        ("a.csv", "text,mood\nx,0\n", "no column label/sentiment/class/decision; it has text, mood"),
        ("a.csv", "", "no column text/headline/title/sentence; it has nothing"),
        ("a.csv", "text,label\nx\n", "row 2: 1 columns, 2 expected"),
        ("a.csv", "text,label\n", "no headlines in it"),
        ("a.csv", "text,label\nx,great\n", "row 2: label 'great' is none of"),
        ("a.csv", "text,label\n ,good\n", "row 2: no text"),
        ("a.jsonl", "{\n", "row 1: not JSON"),
        ("a.jsonl", "[]\n", "row 1: expected"),
        ("a.txt", "no label here\n", "row 1: expected text@label"),
        ("a.txt", "x@positive\ny@negative\nz@neutral\n", "1 headlines are down; 5 folds need at least 5 of each"),
        ("a.txt", "\n".join(f"x{i}@positive" for i in range(9)), "0 headlines are down; 5 folds need at least 5"),
        ("b.txt", None, "No such file or directory"),
    ],
)
def test_what_cannot_be_learnt_from_is_one_line(tmp_path: Path, name: str, content: str | None, line: str) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(CommandError) as refused:
        run_train_sentiment(tmp_path / name, tmp_path / "out", embeddings=False)
    assert line in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_an_unknown_meaning_of_numbers_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\nx,0\n")
    with pytest.raises(DataProblem, match="'sideways' is none of"):
        load_labelled(tmp_path / "a.csv", ("sideways",))


def test_the_command_prints_its_figures(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_train_sentiment(data, tmp_path / "out", folds=2, embeddings=False)
    shown = capsys.readouterr().out
    assert "144 headlines: 48 down, 48 neutral, 48 up" in shown
    assert "held out, 2 folds" in shown
    assert (tmp_path / "out" / MANIFEST).exists()


def test_judging_writes_nothing_and_prints_json_for_programs(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONCLAVE_VAR", str(tmp_path))
    run_train_sentiment(data, None, folds=2, embeddings=False, evaluate_only=True, as_json=True)
    facts = json.loads(capsys.readouterr().out)
    assert facts["out"] is None
    assert facts["held_out"]["stack"]["n"] == 144
    assert list(tmp_path.iterdir()) == []


def test_scores_are_what_they_say() -> None:
    labels = np.array([0, 1, 2, 2])
    sure = np.eye(3)[labels]
    perfect = fit.judge(sure, labels)
    assert (perfect.accuracy, perfect.macro_f1, perfect.ece) == (1.0, 1.0, 0.0)
    wrong = fit.judge(np.tile([0.8, 0.1, 0.1], (4, 1)), labels)
    assert wrong.accuracy == 0.25
    assert wrong.ece == pytest.approx(0.55)
    assert wrong.log_loss == pytest.approx(-(np.log(0.8) + 3 * np.log(0.1)) / 4)


def test_temperature_takes_back_false_certainty() -> None:
    labels = np.array([0, 1, 2] * 50)
    said = np.full((150, 3), 0.005)
    said[np.arange(150), np.where(np.arange(150) % 5 < 3, labels, (labels + 1) % 3)] = 0.99
    by = fit.temperature(said, labels)
    assert by > 2
    assert fit.judge(fit.tempered(said, by), labels).log_loss < fit.judge(said, labels).log_loss
