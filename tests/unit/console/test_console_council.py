"""What a person sees of the council: each agent's vote of the newest bar, the model behind it, what befell models."""

from __future__ import annotations

import io

from rich.console import Console

from console.board import Board
from console.dashboard import dashboard
from libs.core.types import SECOND, Abstention, Forecast, ModelNote, NoteKind


def forecast(agent: str, model_id: str = "", at: int = 60, **said: object) -> Forecast:
    return Forecast(
        id=f"{agent}-{model_id}-{at}", ts_event=at * SECOND, agent=agent, venue="binance", symbol="BTCUSDT",
        interval_s=60, bar_time=(at - 60) * SECOND, model_id=model_id, feature_hash="f", **said,
    )  # fmt: skip


def shown(board: Board) -> str:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(dashboard(board, {"predict": "ready"}, "demo"))
    return console.export_text()


def board(*forecasts: Forecast) -> Board:
    made = Board({})  # type: ignore[arg-type]
    for each in forecasts:
        made.note(each)
    return made


VOTES = {"p_down": 0.2, "p_neutral": 0.3, "p_up": 0.5, "confidence": 0.7}


def test_each_agent_of_the_council_has_a_cell_with_its_vote_or_why_not() -> None:
    text = shown(
        board(
            forecast("trend", "trend.lstm:abcdef0123", **VOTES),
            forecast("boosting", "boosting.lightgbm:1234567", abstention=Abstention.NO_EDGE),
            forecast("volatility", "volatility.1:x:7", sigma=0.001),
            forecast("meta", "meta.2:y", **VOTES),
        )
    )
    head = next(line for line in text.splitlines() if "boosting" in line)
    assert [name for name in head.split() if name != "symbol"] == ["trend", "boosting", "volatility", "meta"]
    row = next(line for line in text.splitlines() if "BTCUSDT" in line and "lstm" in line)
    assert "▲ 0.50 lstm:abcd" in row
    assert "no_edge lightgbm:1234" in row
    assert "σ 10.0bp" in row


def test_without_trained_agents_there_is_no_second_table() -> None:
    text = shown(board(forecast("direction", "direction.1:x:7", **VOTES), forecast("meta", "meta.2:y", **VOTES)))
    assert "council" not in text


def test_a_challenger_has_no_vote_on_the_screen() -> None:
    made = board(
        forecast("trend", "trend.lstm:aaaa", **VOTES), forecast("trend", "trend.tcn:bbbb", shadow=True, **VOTES)
    )
    assert made.symbols["binance", "BTCUSDT"].votes["trend"].model_id == "trend.lstm:aaaa"


def test_what_befell_a_model_is_a_line_with_its_statistic() -> None:
    made = board(forecast("trend", "trend.lstm:abcdef0123", **VOTES))
    made.note(
        ModelNote(
            id="n",
            ts_event=0,
            kind=NoteKind.PROMOTED,
            agent="trend",
            venue="binance",
            symbol="BTCUSDT",
            interval_s=60,
            model_id="trend.lstm:abcdef0123",
            statistic=71.2,
            threshold=60.0,
            detail="it took the place of another",
        )
    )
    assert "trend BTCUSDT 1m: abcdef01 promoted, 71.2 against 60  it took the place of another" in shown(made)
