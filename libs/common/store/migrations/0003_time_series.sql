-- Hypertables where TimescaleDB is, at any licence level; block-range indexes for retention everywhere.

DO $$
DECLARE
    part record;
BEGIN
    IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'timescaledb') THEN
        CREATE EXTENSION IF NOT EXISTS timescaledb;
        FOR part IN
            SELECT * FROM (VALUES
                ('ticks', 'ts_event'), ('quotes', 'ts_event'), ('bars', 'open_time'), ('features', 'bar_time'),
                ('forecasts', 'ts_event'), ('signals', 'ts_event'), ('verdicts', 'ts_event'), ('equity', 'ts_event')
            ) AS t (name, clock)
        LOOP
            PERFORM create_hypertable(
                part.name::regclass, part.clock::name,
                chunk_time_interval => 86400000000000, create_default_indexes => false, migrate_data => true
            );
        END LOOP;
    END IF;
END $$;

CREATE INDEX ticks_stored ON ticks USING brin (stored_at);
CREATE INDEX quotes_stored ON quotes USING brin (stored_at);
CREATE INDEX bars_stored ON bars USING brin (stored_at);
CREATE INDEX features_stored ON features USING brin (stored_at);
CREATE INDEX forecasts_stored ON forecasts USING brin (stored_at);
CREATE INDEX signals_stored ON signals USING brin (stored_at);
CREATE INDEX verdicts_stored ON verdicts USING brin (stored_at);
CREATE INDEX equity_stored ON equity USING brin (stored_at);
