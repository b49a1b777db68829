-- What happened: market data, features and decisions, only ever appended.
-- Times are bigint nanoseconds UTC as they travel; ns_time() shows them to people. stored_at is machine time and
-- decides about retention, because recorded sessions are years old on the day they are stored.

CREATE FUNCTION ns_time(ns bigint) RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN timestamptz '1970-01-01 00:00:00+00' + (ns / 1000) * interval '1 microsecond';

-- kind: trade, or price where the venue publishes prices without trades. seq: null when the venue gives none.
CREATE TABLE ticks (
    venue text NOT NULL,
    symbol text NOT NULL,
    ts_event bigint NOT NULL,
    seq bigint,
    price double precision NOT NULL,
    size double precision NOT NULL,
    side smallint NOT NULL,
    kind text NOT NULL,
    ts_recv bigint NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now()
);
-- Time stands before seq so that one index serves both uniqueness and ranges of time.
CREATE UNIQUE INDEX ticks_key ON ticks (venue, symbol, ts_event, seq, kind);

-- At most one quote per symbol and 100 ms of venue time.
CREATE TABLE quotes (
    venue text NOT NULL,
    symbol text NOT NULL,
    ts_event bigint NOT NULL,
    seq bigint,
    bid double precision NOT NULL,
    bid_size double precision NOT NULL,
    ask double precision NOT NULL,
    ask_size double precision NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX quotes_time ON quotes (venue, symbol, ts_event);

CREATE TABLE bars (
    venue text NOT NULL,
    symbol text NOT NULL,
    interval_s integer NOT NULL,
    open_time bigint NOT NULL,
    open double precision NOT NULL,
    high double precision NOT NULL,
    low double precision NOT NULL,
    close double precision NOT NULL,
    volume double precision NOT NULL,
    buy_volume double precision NOT NULL,
    trades bigint NOT NULL,
    flags integer NOT NULL,
    last_seq bigint NOT NULL,
    ts_recv bigint NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX bars_key ON bars (venue, symbol, interval_s, open_time);

CREATE TABLE features (
    venue text NOT NULL,
    symbol text NOT NULL,
    interval_s integer NOT NULL,
    bar_time bigint NOT NULL,
    set_hash text NOT NULL,
    warm boolean NOT NULL,
    flags integer NOT NULL,
    "values" double precision[] NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX features_key ON features (venue, symbol, interval_s, bar_time, set_hash);

CREATE TABLE forecasts (
    id text NOT NULL,
    ts_event bigint NOT NULL,
    agent text NOT NULL,
    venue text NOT NULL,
    symbol text NOT NULL,
    interval_s integer NOT NULL,
    bar_time bigint NOT NULL,
    model_id text NOT NULL,
    abstention text,
    p_down double precision,
    p_neutral double precision,
    p_up double precision,
    sigma double precision,
    state integer,
    confidence double precision NOT NULL,
    disagreement double precision,
    latency_us double precision NOT NULL,
    body jsonb NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX forecasts_key ON forecasts (id, ts_event);
CREATE INDEX forecasts_time ON forecasts (venue, symbol, interval_s, ts_event);

CREATE TABLE signals (
    id text NOT NULL,
    ts_event bigint NOT NULL,
    strategy text NOT NULL,
    venue text NOT NULL,
    symbol text NOT NULL,
    interval_s integer NOT NULL,
    bar_time bigint NOT NULL,
    side text NOT NULL,
    action text NOT NULL,
    price double precision NOT NULL,
    strength double precision NOT NULL,
    evidence boolean NOT NULL,
    reason text NOT NULL,
    body jsonb NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX signals_key ON signals (id, ts_event);
CREATE INDEX signals_time ON signals (venue, symbol, ts_event);

CREATE TABLE verdicts (
    id text NOT NULL,
    ts_event bigint NOT NULL,
    signal_id text NOT NULL,
    intent_id text NOT NULL,
    account text NOT NULL,
    strategy text NOT NULL,
    venue text NOT NULL,
    symbol text NOT NULL,
    side text NOT NULL,
    action text NOT NULL,
    approved boolean NOT NULL,
    reasons text[] NOT NULL,
    quantity numeric NOT NULL,
    body jsonb NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX verdicts_key ON verdicts (id, ts_event);
CREATE INDEX verdicts_signal ON verdicts (signal_id);
CREATE INDEX verdicts_time ON verdicts (account, ts_event);

CREATE TABLE equity (
    id text NOT NULL,
    ts_event bigint NOT NULL,
    account text NOT NULL,
    venue text NOT NULL,
    mode text NOT NULL,
    currency text NOT NULL,
    balance numeric NOT NULL,
    equity numeric NOT NULL,
    peak_equity numeric NOT NULL,
    fees numeric NOT NULL,
    trades_today integer NOT NULL,
    revision bigint NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX equity_key ON equity (id, ts_event);
CREATE INDEX equity_time ON equity (account, ts_event);
