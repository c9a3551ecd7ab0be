# SPDX-License-Identifier: Apache-2.0
"""Records and bodies: partitioned by day, append-only, under row-level security, counted by the database itself."""

from django.db import migrations

from apps.core.tenancy import EVERYONE, SETTING, row_security_sql

TABLES = """
CREATE TABLE audit_record (
    ts timestamptz NOT NULL,
    id text NOT NULL,
    organisation_id text NOT NULL,
    state text NOT NULL,
    key_id text NOT NULL,
    key_name text NOT NULL,
    person_id text NOT NULL,
    person_name text NOT NULL,
    team_id text NOT NULL,
    team_name text NOT NULL,
    model text NOT NULL,
    target text NOT NULL,
    provider text NOT NULL,
    path text NOT NULL,
    verdict text NOT NULL,
    status integer NOT NULL,
    error_code text NOT NULL,
    stream boolean NOT NULL,
    cache_hit text NOT NULL,
    session_id text NOT NULL,
    bundle text NOT NULL,
    cost numeric NOT NULL,
    charged bigint NOT NULL,
    tokens bigint NOT NULL,
    total_us bigint NOT NULL,
    overhead_us bigint NOT NULL,
    budget_ids text[] NOT NULL,
    accounted_at timestamptz NOT NULL,
    lease text NOT NULL,
    position bigint NOT NULL,
    demo boolean NOT NULL,
    body_stored boolean NOT NULL,
    data jsonb NOT NULL,
    PRIMARY KEY (ts, id)
) PARTITION BY RANGE (ts);
CREATE INDEX audit_record_newest ON audit_record (organisation_id, ts DESC, id DESC);
CREATE INDEX audit_record_key ON audit_record (organisation_id, key_id, ts DESC, id DESC);
CREATE INDEX audit_record_person ON audit_record (organisation_id, person_id, ts DESC, id DESC);
CREATE INDEX audit_record_lease ON audit_record (lease, position);

CREATE TABLE audit_body (
    ts timestamptz NOT NULL,
    id text NOT NULL,
    organisation_id text NOT NULL,
    subject text NOT NULL,
    prompt bytea NOT NULL,
    answer bytea NOT NULL,
    redacted boolean NOT NULL,
    PRIMARY KEY (ts, id)
) PARTITION BY RANGE (ts);

CREATE TABLE audit_record_default PARTITION OF audit_record DEFAULT;
CREATE TABLE audit_body_default PARTITION OF audit_body DEFAULT;
"""

# A partition has policies of its own: without them, naming it would go round those of its parent.
SECURITY = "\n".join(
    row_security_sql(table)
    for table in ("audit_record", "audit_record_default", "audit_body", "audit_body_default")
)

PARTITIONS = f"""
CREATE FUNCTION audit_add_partition(parent text, day date) RETURNS bigint
LANGUAGE plpgsql SET timezone TO 'UTC' AS $$
DECLARE
    part text := parent || '_' || to_char(day, 'YYYYMMDD');
    rest text := parent || '_default';
    test text := 'current_setting(''{SETTING}'', true) IN (organisation_id, ''{EVERYONE}'')';
    outside text := coalesce(current_setting('{SETTING}', true), '');
    moved bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('audit_add_partition'));
    IF to_regclass(part) IS NOT NULL THEN
        RETURN 0;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', part, parent);
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', part);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', part);
    EXECUTE format('CREATE POLICY organisation ON %I USING (%s) WITH CHECK (%s)', part, test, test);
    PERFORM set_config('{SETTING}', '{EVERYONE}', true);
    -- Nobody may add a row of this day to the default partition between the move and the attachment.
    EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', rest);
    EXECUTE format(
        'WITH moved AS (DELETE FROM %I WHERE ts >= %L AND ts < %L RETURNING *) INSERT INTO %I SELECT * FROM moved',
        rest, day::timestamptz, (day + 1)::timestamptz, part);
    GET DIAGNOSTICS moved = ROW_COUNT;
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
        parent, part, day::timestamptz, (day + 1)::timestamptz);
    PERFORM set_config('{SETTING}', outside, true);
    RETURN moved;
END $$;
"""  # noqa: S608 - made of two constants

GUARDS = """
CREATE FUNCTION audit_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND pg_has_role(current_user, (SELECT relowner FROM pg_class WHERE oid = TG_RELID), 'USAGE') THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION '% only grows: a row is never altered or removed', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;

CREATE FUNCTION audit_only_completes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state = 'interrupted' AND NEW.state = 'done'
        AND (OLD.ts, OLD.id, OLD.organisation_id) = (NEW.ts, NEW.id, NEW.organisation_id) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION '% only grows: a finished record is never altered', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER audit_record_completes BEFORE UPDATE ON audit_record FOR EACH ROW EXECUTE FUNCTION audit_only_completes();
CREATE TRIGGER audit_record_grows BEFORE DELETE ON audit_record FOR EACH ROW EXECUTE FUNCTION audit_only_grows();
CREATE TRIGGER audit_body_grows BEFORE UPDATE OR DELETE ON audit_body FOR EACH ROW EXECUTE FUNCTION audit_only_grows();
"""

# Statement triggers see only the rows that really came in, so a batch that is shipped twice counts once.
COUNTERS = """
CREATE FUNCTION audit_count_new() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_total (organisation_id, records, tokens, charged)
    SELECT organisation_id, count(*), coalesce(sum(tokens), 0), coalesce(sum(charged) FILTER (WHERE state = 'done'), 0)
    FROM fresh GROUP BY organisation_id ORDER BY organisation_id
    ON CONFLICT (organisation_id) DO UPDATE SET records = audit_total.records + excluded.records,
        tokens = audit_total.tokens + excluded.tokens, charged = audit_total.charged + excluded.charged;
    INSERT INTO audit_spend (organisation_id, budget_id, bucket, charged, records)
    SELECT organisation_id, budget_id, date_bin('15 minutes', accounted_at, timestamptz '2000-01-01 00:00:00+00'),
        sum(charged), count(*)
    FROM fresh, unnest(budget_ids) AS budget_id GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    ON CONFLICT (organisation_id, budget_id, bucket) DO UPDATE
        SET charged = audit_spend.charged + excluded.charged, records = audit_spend.records + excluded.records;
    RETURN NULL;
END $$;

CREATE FUNCTION audit_count_completed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_correction
        (organisation_id, record_id, budget_ids, accounted_at, charged_before, charged_after, at)
    SELECT b.organisation_id, b.id, b.budget_ids, b.accounted_at, b.charged, a.charged, statement_timestamp()
    FROM before b JOIN after a USING (ts, id) ORDER BY b.id;
    INSERT INTO audit_total (organisation_id, records, tokens, charged)
    SELECT organisation_id, 0, sum(tokens), sum(charged) FROM after GROUP BY organisation_id ORDER BY organisation_id
    ON CONFLICT (organisation_id) DO UPDATE
        SET tokens = audit_total.tokens + excluded.tokens, charged = audit_total.charged + excluded.charged;
    -- The figure moves within the budgets and the quarter that the interrupted record was counted in.
    INSERT INTO audit_spend (organisation_id, budget_id, bucket, charged, records)
    SELECT b.organisation_id, budget_id, date_bin('15 minutes', b.accounted_at, timestamptz '2000-01-01 00:00:00+00'),
        sum(a.charged - b.charged), 0
    FROM before b JOIN after a USING (ts, id), unnest(b.budget_ids) AS budget_id GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    ON CONFLICT (organisation_id, budget_id, bucket) DO UPDATE SET charged = audit_spend.charged + excluded.charged;
    RETURN NULL;
END $$;

CREATE TRIGGER audit_record_new AFTER INSERT ON audit_record REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION audit_count_new();
CREATE TRIGGER audit_record_completed AFTER UPDATE ON audit_record REFERENCING OLD TABLE AS before NEW TABLE AS after
    FOR EACH STATEMENT EXECUTE FUNCTION audit_count_completed();
"""

FIRST = """
SELECT audit_add_partition(parent, day::date)
FROM unnest(ARRAY['audit_record', 'audit_body']) AS parent,
    generate_series(current_date - 1, current_date + 14, interval '1 day') AS day;
"""

BACK = """
DROP TABLE audit_record, audit_body;
DROP FUNCTION audit_add_partition(text, date), audit_only_grows(), audit_only_completes(),
    audit_count_new(), audit_count_completed();
"""


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]

    operations = [
        migrations.RunSQL([TABLES, SECURITY, PARTITIONS, GUARDS, COUNTERS, FIRST], BACK),
    ]
