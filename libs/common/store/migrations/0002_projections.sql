-- What stands now: projections of the ledger (the ORDERS stream), of commands and of what services register.

CREATE TABLE orders (
    intent_id text PRIMARY KEY,
    revision integer NOT NULL,
    ts_event bigint NOT NULL,
    created bigint NOT NULL,
    state text NOT NULL,
    mode text NOT NULL,
    venue text NOT NULL,
    account text NOT NULL,
    symbol text NOT NULL,
    strategy text NOT NULL,
    side text NOT NULL,
    action text NOT NULL,
    quantity numeric NOT NULL,
    filled numeric NOT NULL,
    average_price numeric,
    position_id text NOT NULL,
    reason text NOT NULL,
    exploring boolean NOT NULL,
    body jsonb NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX orders_account ON orders (account, ts_event);
CREATE INDEX orders_position ON orders (position_id);

CREATE TABLE fills (
    id text PRIMARY KEY,
    intent_id text NOT NULL,
    ts_event bigint NOT NULL,
    mode text NOT NULL,
    venue text NOT NULL,
    account text NOT NULL,
    symbol text NOT NULL,
    strategy text NOT NULL,
    side text NOT NULL,
    action text NOT NULL,
    price numeric NOT NULL,
    quantity numeric NOT NULL,
    currency text NOT NULL,
    fee numeric NOT NULL,
    spread_cost numeric NOT NULL,
    slippage_cost numeric NOT NULL,
    realised numeric NOT NULL,
    latency_ms double precision NOT NULL,
    position_id text NOT NULL,
    reason text NOT NULL,
    exploring boolean NOT NULL,
    body jsonb NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX fills_account ON fills (account, ts_event);
CREATE INDEX fills_intent ON fills (intent_id);

CREATE TABLE positions (
    position_id text PRIMARY KEY,
    revision integer NOT NULL,
    ts_event bigint NOT NULL,
    mode text NOT NULL,
    venue text NOT NULL,
    account text NOT NULL,
    symbol text NOT NULL,
    strategy text NOT NULL,
    side text NOT NULL,
    quantity numeric NOT NULL,
    entry_price numeric NOT NULL,
    stop_price numeric,
    target_price numeric,
    notional numeric NOT NULL,
    risk numeric NOT NULL,
    currency text NOT NULL,
    unrealised numeric NOT NULL,
    realised numeric NOT NULL,
    opened bigint NOT NULL,
    body jsonb NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX positions_open ON positions (account, symbol) WHERE quantity > 0;

CREATE TABLE accounts (
    account text PRIMARY KEY,
    revision bigint NOT NULL,
    ts_event bigint NOT NULL,
    venue text NOT NULL,
    mode text NOT NULL,
    currency text NOT NULL,
    balance numeric NOT NULL,
    equity numeric NOT NULL,
    peak_equity numeric NOT NULL,
    fees numeric NOT NULL,
    body jsonb NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now()
);

-- The ticks and health reports that an order cites, kept as long as the order is.
CREATE TABLE cited (
    intent_id text NOT NULL,
    message_id text NOT NULL,
    ts_event bigint NOT NULL,
    body jsonb NOT NULL,
    PRIMARY KEY (intent_id, message_id)
);

CREATE TABLE audit (
    id text PRIMARY KEY,
    ts_event bigint NOT NULL,
    kind text NOT NULL,
    scope text NOT NULL,
    reason text NOT NULL,
    actor text NOT NULL,
    body jsonb NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX audit_time ON audit (ts_event);

CREATE TABLE models (
    id text PRIMARY KEY,
    agent text NOT NULL,
    created bigint NOT NULL,
    feature_hash text NOT NULL,
    status text NOT NULL,
    manifest jsonb NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE bots (
    id text PRIMARY KEY,
    name text NOT NULL UNIQUE,
    revision integer NOT NULL,
    enabled boolean NOT NULL,
    spec jsonb NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now()
);

-- How far each subject has been stored, in its publishers' own numbering; written in the transaction of the rows.
-- A publisher's run is an epoch; more than one may publish on a subject. stream_ns: capture time of that message.
CREATE TABLE captured (
    subject text NOT NULL,
    epoch bigint NOT NULL,
    seq bigint NOT NULL,
    stream text NOT NULL,
    stream_ns bigint NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (subject, epoch)
) WITH (fillfactor = 50);
