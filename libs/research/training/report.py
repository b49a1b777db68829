"""The exam report: the council and its agents beside what they must beat, with tests, pictures and what it means."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from libs.core.types.subjects import interval_token
from libs.research.training.exam import COUNCIL, META, Judged, Voice
from libs.research.training.exam_scores import (
    CLASSES,
    FEE_BP,
    by_block,
    by_class,
    climatology,
    confusion,
    earned,
    figures,
    losses,
    reliability,
    scale_of,
    spoken,
)
from libs.research.training.plots import blocks_svg, earned_svg, reliability_svg
from libs.research.training.read import moment
from libs.research.training.report_baselines import LOGISTIC
from libs.research.training.report_page import Grid, Page, Section
from libs.research.training.run import write_whole
from libs.research.training.scores import diebold_mariano, qlike
from libs.research.training.spa import spa

CLIMATOLOGY: Final = "climatology"
EWMA: Final = "EWMA"
ECE_GOAL: Final = 0.02


@dataclass(frozen=True, slots=True)
class Facts:
    """What a report is about, beside the figures. `notes`: lines for the reader."""

    title: str
    models: Sequence[tuple[str, str, str]] = ()
    notes: Sequence[str] = ()


def write_report(folder: Path, page: Page) -> tuple[Path, Path]:
    """Write exam.html and exam.md; either is whole or not there. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    html, md = folder / "exam.html", folder / "exam.md"
    write_whole(html, page.html().encode())
    write_whole(md, page.markdown().encode())
    return html, md


def make_page(exam: Judged, council: Voice, beside: Mapping[str, Voice], facts: Facts) -> Page:
    """The report on these bars. `beside`: the forecasters of one line, by name."""
    agents = {name: voice for name, voice in exam.voices.items() if voice.has_direction and name != META}
    lines = {name: voice for name, voice in beside.items() if voice.has_direction}
    everyone = {COUNCIL: council, **agents, **lines, CLIMATOLOGY: climatology(exam)}
    found = {name: figures(voice, exam) for name, voice in everyone.items()}
    money = {name: earned(voice.p, _all(exam), exam) for name, voice in everyone.items() if name != CLIMATOLOGY}
    money[f"{COUNCIL}, when it acts"] = earned(council.p, council.speaks, exam)
    span = f"{moment(int(exam.time[0]))} to {moment(int(exam.time[-1]))} UTC"
    about = (
        f"{exam.symbol}, bars of {interval_token(exam.interval_s)}, {span}: {len(exam):,} forecasts of the next bar."
    )
    sections = [
        _scores(found),
        _tests(exam, everyone, {COUNCIL: council, **agents}),
        _classes(exam, everyone),
        _calibration(exam, {COUNCIL: council, **agents}),
        _blocks(exam, {COUNCIL: council, **agents, **{k: v for k, v in lines.items() if k == LOGISTIC}}),
        _volatility(exam, {**exam.voices, **beside}),
        _money(exam, council, money),
        _models(facts),
    ]
    return Page(facts.title, about, meaning(found, money), [s for s in sections if s is not None])


def meaning(found: Mapping[str, Mapping[str, float]], money: Mapping[str, Mapping[str, float]]) -> str:
    """What the figures say, in plain words."""
    own, gains = found[COUNCIL], money[COUNCIL]
    three = _against(own["brier_skill"], own["dm_t"])
    two = _against(own["brier_skill_2c"], own["dm_t_2c"])
    promised = "keeps" if own["ece"] <= ECE_GOAL else "does not keep"
    acted = money[f"{COUNCIL}, when it acts"]
    text = (
        f"The council's forecast of down, neutral and up is {three} constant class shares ({_t(own['dm_t'])}), its "
        f"forecast of the side alone is {two} them ({_t(own['dm_t_2c'])}). It {promised} what it promises: its top "
        f"probability is off by {own['ece']:.1%} on average (goal: at most {ECE_GOAL:.0%}). It would act on "
        f"{1.0 - own['abstention_rate']:.0%} of the bars. "
    )
    if math.isnan(gains["break_even_bp"]):
        return text + "It takes no side at all."
    text += f"Held at every bar, its likelier side pays for fees of up to {gains['break_even_bp']:.2f} bp a side; "
    if acted["net_bp"] > 0.0 and acted["share"] > 0.0:
        return text + f"at {FEE_BP:g} bp, acting only when sure, {acted['net_bp']:+.2f} bp a bar are left."
    return text + f"at {FEE_BP:g} bp nothing is left ({acted['net_bp']:+.2f} bp a bar when sure): it must stay in cash."


def _against(skill: float, t: float) -> str:
    if abs(t) < 2.0 or math.isnan(skill):
        return "not told apart from"
    return f"{abs(skill):.2%} {'better' if skill > 0.0 else 'worse'} than"


def _t(value: float) -> str:
    return "too few moves" if math.isnan(value) else f"Diebold-Mariano t {value:.1f}"


def _scores(found: Mapping[str, Mapping[str, float]]) -> Section:
    head = (
        "", "skill, 3 classes", "skill, 2 classes", "log loss", "log loss, 2", "accuracy", "accuracy, 2", "F1",
        "ECE", "DM t", "DM t, 2", "silent",
    )  # fmt: skip
    rows = [
        [
            name,
            _pct(row["brier_skill"]),
            _pct(row["brier_skill_2c"]),
            f"{row['log_loss']:.5f}",
            f"{row['log_loss_2c']:.5f}",
            f"{row['accuracy']:.4f}",
            f"{row['accuracy_2c']:.4f}",
            f"{row['f1']:.3f}",
            f"{row['ece']:.4f}",
            "" if name == CLIMATOLOGY else f"{row['dm_t']:.1f}",
            "" if name == CLIMATOLOGY else f"{row['dm_t_2c']:.1f}",
            f"{row['abstention_rate']:.1%}",
        ]
        for name, row in found.items()
    ]
    words = (
        "Skill is the share by which the Brier score is below that of the class shares of the training range. DM t: "
        "Diebold-Mariano on log loss against them, Newey-West with 20 lags; above 2 is better than chance. "
        "Two classes: the side of the next close, ties left out. Silent: the share of bars at which it would not act. "
        "Every bar counts in every other column; where a forecaster has no opinion, it is given the climatology's."
    )
    return Section("Scores", [words], [Grid(head, rows)])


def _tests(exam: Judged, everyone: Mapping[str, Voice], ours: Mapping[str, Voice]) -> Section:
    grids, rows, names = [], [], list(ours)
    lost = {name: losses(voice, exam) for name, voice in everyone.items()}
    for against in everyone:
        if against in ours:
            continue
        for label, key in (("3 classes", "log3"), ("2 classes", "log2")):
            if not len(getattr(lost[against], key)):
                continue
            models = np.column_stack([getattr(lost[name], key) for name in names])
            result = spa(getattr(lost[against], key), models)
            best = names[result.best] if result.best >= 0 else "none"
            values = [f"{value:.3f}" for value in (result.lower, result.consistent, result.upper)]
            rows.append([f"{against}, {label}", best, *values, f"{result.block:.0f}"])
    grids.append(Grid(("against", "best of ours", "p lower", "p", "p upper", "block"), rows))
    pairs = []
    for name in names:
        cells = [name]
        for against in everyone:
            if against not in ours:
                t, _ = diebold_mariano(lost[name].log2, lost[against].log2)
                cells.append(f"{t:.1f}")
        pairs.append(cells)
    head = ("DM t, 2 classes, against", *(name for name in everyone if name not in ours))
    grids.append(Grid(head, pairs))
    words = (
        "Superior predictive ability (Hansen 2005, studentised, stationary bootstrap of 1,000 resamples, log loss): p "
        "below 0.05 says that the best of ours beats the benchmark by more than the luck of having tried several."
    )
    return Section("Tests", [words], grids)


def _classes(exam: Judged, everyone: Mapping[str, Voice]) -> Section:
    grids = []
    head = ("precision / recall / F1", *CLASSES)
    rows = []
    for name, voice in everyone.items():
        hits = by_class(spoken(voice, exam).argmax(axis=1), exam.y3)
        rows.append([name, *(f"{h['precision']:.3f} / {h['recall']:.3f} / {h['f1']:.3f}" for h in hits)])
    grids.append(Grid(head, rows))
    table = confusion(everyone[COUNCIL], exam)
    rows = [[f"was {CLASSES[k]}", *(f"{count:,}" for count in table[k])] for k in range(3)]
    grids.append(Grid(("council", *(f"said {name}" for name in CLASSES)), rows))
    return Section("Hits by class", [], grids)


def _calibration(exam: Judged, ours: Mapping[str, Voice]) -> Section:
    pictures = []
    for name, voice in ours.items():
        p = spoken(voice, exam)
        curves = {CLASSES[k]: reliability(p[:, k], (exam.y3 == k).astype(float)) for k in range(3)}
        pictures.append(reliability_svg(name, curves))
    words = "Ten groups of equal size by forecast probability; bars are two binomial deviations."
    return Section("Promised and come true", [words], [], pictures)


def _blocks(exam: Judged, voices: Mapping[str, Voice]) -> Section:
    blocks = {name: by_block(voice, exam) for name, voice in voices.items()}
    first = next(iter(blocks.values()))
    head = ("skill, 3 / 2 classes", *(f"{moment(row['from'])[:10]}" for row in first))
    rows = [
        [name, *(f"{_pct(row['brier_skill'])} / {_pct(row['brier_skill_2c'])}" for row in parts)]
        for name, parts in blocks.items()
    ]
    pictures = [
        blocks_svg("three classes", blocks, "brier_skill"),
        blocks_svg("two classes", blocks, "brier_skill_2c"),
    ]
    words = "Blocks of equal length, by the day on which each begins."
    return Section("Skill over time", [words], [Grid(head, rows)], pictures)


def _volatility(exam: Judged, voices: Mapping[str, Voice]) -> Section | None:
    sigmas = {name: voice.sigma for name, voice in voices.items() if len(voice.sigma)}
    sigmas[EWMA] = exam.sigma
    known = np.isfinite(exam.variance)
    for sigma in sigmas.values():
        known &= np.isfinite(sigma) & (sigma > 0.0)
    if known.sum() < 2:
        return None
    truth = scale_of(exam) * exam.variance[known]
    lost = {name: qlike(truth, sigma[known] ** 2) for name, sigma in sigmas.items()}
    rows = []
    for name, loss in lost.items():
        t = diebold_mariano(loss, lost[EWMA])[0] if name != EWMA else math.nan
        rows.append([name, f"{loss.mean():.4f}", "" if math.isnan(t) else f"{t:.1f}"])
    words = (
        f"QLIKE (lower is better) of {int(known.sum()):,} bars against the next bar's range variance (Parkinson), "
        "brought to the scale of squared returns; DM t against the EWMA deviation."
    )
    return Section("Volatility", [words], [Grid(("", "QLIKE", "DM t"), rows)])


def _money(exam: Judged, council: Voice, money: Mapping[str, Mapping[str, float]]) -> Section:
    head = (
        "log return in bp a bar",
        "in a position",
        "gross",
        "t",
        f"net of {FEE_BP:g} bp a side",
        "break-even fee, bp",
    )
    rows = [
        [
            name,
            f"{row['share']:.1%}",
            f"{row['gross_bp']:+.3f}",
            f"{row['gross_t']:.1f}",
            f"{row['net_bp']:+.3f}",
            "" if math.isnan(row["break_even_bp"]) else f"{row['break_even_bp']:.2f}",
        ]
        for name, row in money.items()
    ]
    side = np.where(np.isfinite(council.p).all(axis=1), np.sign(council.p[:, 2] - council.p[:, 0]), 0.0)
    acting = np.where(council.speaks, side, 0.0)
    curves = {}
    for name, held in (("always", side), ("when it acts", acting)):
        gross = held * exam.next_return
        fees = FEE_BP / 1e4 * np.abs(np.diff(held, prepend=0.0))
        curves[f"{name}, gross"] = np.cumsum(gross)
        curves[f"{name}, net"] = np.cumsum(gross - fees)
    words = "Holding the likelier side to the next close at that close's price: no spread, no slippage, no delay."
    return Section("Money", [words], [Grid(head, rows)], [earned_svg("council", exam.time.tolist(), curves)])


def _models(facts: Facts) -> Section:
    grids = [Grid(("model", "trained on", "how"), [list(row) for row in facts.models])] if facts.models else []
    return Section("What was examined", list(facts.notes), grids)


def _all(exam: Judged) -> Any:
    return np.ones(len(exam), dtype=bool)


def _pct(value: float) -> str:
    return "" if math.isnan(value) else f"{value:+.2%}"
