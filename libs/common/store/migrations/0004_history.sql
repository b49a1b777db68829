-- History beside the live stream, outside series and headlines, top of the book, roll-ups, and what retention took.

-- Which of two bars of one bucket stays: 2 = seen live, 1 = from history, 0 = with a hole that nothing has filled.
CREATE FUNCTION bar_rank(flags integer) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN flags & 2 <> 0 THEN 0 WHEN flags & 16 <> 0 THEN 1 ELSE 2 END;

-- ts_event: when it was published; period: what it is about, known only from ts_event on.
CREATE TABLE readings (
    source text NOT NULL,
    series text NOT NULL,
    ts_event bigint NOT NULL,
    period bigint NOT NULL,
    value double precision NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX readings_key ON readings (source, series, ts_event, period);

CREATE TABLE headlines (
    source text NOT NULL,
    source_id text NOT NULL,
    ts_event bigint NOT NULL,
    title text NOT NULL,
    summary text NOT NULL,
    link text NOT NULL,
    symbols text[] NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX headlines_key ON headlines (source, source_id, ts_event);
CREATE INDEX headlines_time ON headlines (ts_event);

-- Best prices, what lies within the published levels, and the order flow since the row before.
CREATE TABLE book_stats (
    venue text NOT NULL,
    symbol text NOT NULL,
    ts_event bigint NOT NULL,
    last_id bigint NOT NULL,
    bid double precision,
    bid_size double precision,
    ask double precision,
    ask_size double precision,
    bid_depth double precision NOT NULL,
    ask_depth double precision NOT NULL,
    ofi double precision NOT NULL,
    updates bigint NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX book_stats_key ON book_stats (venue, symbol, ts_event, last_id);
CREATE INDEX book_stats_stored ON book_stats USING brin (stored_at);

-- A vector of the full set is some two kilobytes: it stays in its row instead of being cut and indexed a second time.
ALTER TABLE features SET (toast_tuple_target = 8160);

-- Bars made of stored shorter ones (of source_s seconds); parts: how many of them.
CREATE TABLE rollups (
    venue text NOT NULL,
    symbol text NOT NULL,
    interval_s integer NOT NULL,
    open_time bigint NOT NULL,
    source_s integer NOT NULL,
    open double precision NOT NULL,
    high double precision NOT NULL,
    low double precision NOT NULL,
    close double precision NOT NULL,
    volume double precision NOT NULL,
    buy_volume double precision NOT NULL,
    trades bigint NOT NULL,
    flags integer NOT NULL,
    last_seq bigint NOT NULL,
    parts bigint NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX rollups_key ON rollups (venue, symbol, interval_s, open_time, source_s);
CREATE INDEX rollups_stored ON rollups USING brin (stored_at);

-- One row: up to which moment of storing bars have been rolled up.
CREATE TABLE rollup_state (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    rolled_to timestamptz NOT NULL
);

-- Data time of which retention has taken rows: a bucket that touches it is never computed again.
CREATE TABLE dropped (
    name text NOT NULL,
    venue text NOT NULL,
    symbol text NOT NULL,
    ranges int8multirange NOT NULL,
    PRIMARY KEY (name, venue, symbol)
);

-- One row: what the tables have been made for (plain, apache, community), and by which statements.
CREATE TABLE schema_level (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    level text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
