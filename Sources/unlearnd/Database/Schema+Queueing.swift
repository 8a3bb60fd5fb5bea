// SPDX-License-Identifier: Apache-2.0

extension Schema {
    /// Groups, retries, deadlines and room on the disk; and that nothing takes longer because many jobs wait or have ended:
    /// jobs are counted as they change, and what is looked for has an index.
    static let queueing =
        [
            "ALTER TABLE job ADD COLUMN job_group TEXT",
            "ALTER TABLE job ADD COLUMN disk INTEGER NOT NULL DEFAULT 0",
            // How often it was tried again, and how often it still may be.
            "ALTER TABLE job ADD COLUMN retried INTEGER NOT NULL DEFAULT 0",
            "ALTER TABLE job ADD COLUMN retries_left INTEGER NOT NULL DEFAULT 0",
            "ALTER TABLE job ADD COLUMN deadline INTEGER",
            // 1: that it comes near, 2: that it is over.
            "ALTER TABLE job ADD COLUMN deadline_told INTEGER NOT NULL DEFAULT 0 CHECK(deadline_told IN (0, 1, 2))",
            """
            CREATE TABLE job_count(
              submitter INTEGER NOT NULL, interactive INTEGER NOT NULL, state TEXT NOT NULL,
              jobs INTEGER NOT NULL CHECK(jobs >= 0),
              PRIMARY KEY(submitter, interactive, state)) STRICT, WITHOUT ROWID
            """,
            """
            INSERT INTO job_count(submitter, interactive, state, jobs)
              SELECT submitter, interactive, state, count(*) FROM job GROUP BY submitter, interactive, state
            """,
            """
            CREATE TRIGGER job_added AFTER INSERT ON job BEGIN
              INSERT INTO job_count(submitter, interactive, state, jobs)
                VALUES (new.submitter, new.interactive, new.state, 1)
                ON CONFLICT(submitter, interactive, state) DO UPDATE SET jobs = jobs + 1;
            END
            """,
            """
            CREATE TRIGGER job_moved AFTER UPDATE OF state ON job WHEN old.state IS NOT new.state BEGIN
              UPDATE job_count SET jobs = jobs - 1
                WHERE submitter = old.submitter AND interactive = old.interactive AND state = old.state;
              INSERT INTO job_count(submitter, interactive, state, jobs)
                VALUES (new.submitter, new.interactive, new.state, 1)
                ON CONFLICT(submitter, interactive, state) DO UPDATE SET jobs = jobs + 1;
            END
            """,
        ] + queueIndexes

    private static let queueIndexes = [
        "DROP INDEX job_ready",
        "CREATE INDEX job_turn ON job(interactive, submitter, priority DESC, id) WHERE state = 'queued'",
        "CREATE INDEX job_new ON job(interactive) WHERE state = 'queued' AND reason IS NULL",
        "CREATE INDEX job_started ON job(submitter, interactive, started) WHERE started IS NOT NULL",
        "CREATE INDEX job_delayed ON job(run_at) WHERE state = 'queued' AND run_at > 0",
        """
        CREATE INDEX job_deadline ON job(deadline)
          WHERE deadline IS NOT NULL AND deadline_told < 2 AND finished IS NULL
        """,
        "CREATE INDEX job_by_group ON job(job_group, state) WHERE job_group IS NOT NULL AND finished IS NULL",
        """
        CREATE INDEX job_sweep ON job(json_extract(spec, '$.sweep.family'), id)
          WHERE json_extract(spec, '$.sweep.family') IS NOT NULL
        """,
        // Jobs whose files lie open in the daemon.
        """
        CREATE INDEX job_files ON job(id)
          WHERE state IN ('held', 'blocked', 'queued') AND json_extract(spec, '$.parameters.transfer') IS NOT NULL
        """,
    ]
}
