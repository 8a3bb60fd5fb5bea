// SPDX-License-Identifier: Apache-2.0

import GRDB

/// The tables of `unlearnd.sqlite`. Times are milliseconds since 1970; JSON is text.
enum Schema {
    /// Marks the file as ours (SQLite's `application_id`): "unld".
    static let applicationID = 0x756E_6C64
    /// The newest schema that this software knows (SQLite's `user_version`).
    static let version = 9

    /// The steps from an empty file to the newest schema.
    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1") { db in
            for statement in first { try db.execute(sql: statement) }
            try db.execute(sql: "PRAGMA application_id = \(applicationID)")
            try db.execute(sql: "PRAGMA user_version = 1")
        }
        migrator.registerMigration("2") { db in
            for statement in evidence { try db.execute(sql: statement) }
            try db.execute(sql: "PRAGMA user_version = 2")
        }
        migrator.registerMigration("3") { db in
            for statement in training { try db.execute(sql: statement) }
            try db.execute(sql: "PRAGMA user_version = 3")
        }
        migrator.registerMigration("4") { db in
            for statement in keeping { try db.execute(sql: statement) }
            try db.execute(sql: "PRAGMA user_version = 4")
        }
        migrator.registerMigration("5") { db in
            for statement in erasure { try db.execute(sql: statement) }
            try db.execute(sql: "PRAGMA user_version = 5")
        }
        migrator.registerMigration("6") { db in
            for statement in publishing { try db.execute(sql: statement) }
            try db.execute(sql: "PRAGMA user_version = 6")
        }
        migrator.registerMigration("7") { db in
            for statement in queueing { try db.execute(sql: statement) }
            try db.execute(sql: "PRAGMA user_version = 7")
        }
        migrator.registerMigration("8") { db in
            for statement in clusters { try db.execute(sql: statement) }
            try db.execute(sql: "PRAGMA user_version = 8")
        }
        migrator.registerMigration("9") { db in
            for statement in growth { try db.execute(sql: statement) }
            try db.execute(sql: "PRAGMA user_version = 9")
        }
        return migrator
    }

    /// That moves and candidates are found without looking at all of them.
    private static let growth = [
        "CREATE INDEX head_move_model ON head_move(model)",
        "CREATE INDEX head_move_origin ON head_move(model, origin)",
        "CREATE INDEX head_move_target ON head_move(model, target)",
        "CREATE INDEX version_candidate ON version(model, n) WHERE candidate = 1 AND state = 'live'",
    ]

    /// Jobs that a cluster runs.
    private static let clusters = [
        "ALTER TABLE job ADD COLUMN placement TEXT CHECK(placement IS NULL OR json_valid(placement))",
        "ALTER TABLE job ADD COLUMN remote INTEGER NOT NULL DEFAULT 0 CHECK(remote IN (0, 1))",
    ]

    private static let evidence = [
        // Data and texts apart: a purge takes the texts.
        """
        CREATE TABLE evidence(
          job INTEGER NOT NULL REFERENCES job(id), name TEXT NOT NULL,
          data TEXT NOT NULL CHECK(json_valid(data)), texts TEXT CHECK(texts IS NULL OR json_valid(texts)),
          purged INTEGER,
          PRIMARY KEY(job, name), CHECK(purged IS NULL OR texts IS NULL)) STRICT, WITHOUT ROWID
        """
    ]

    /// Training checkpoints and pauses.
    private static let training = [
        "ALTER TABLE job ADD COLUMN checkpoint TEXT CHECK(checkpoint IS NULL OR json_valid(checkpoint))",
        "ALTER TABLE job ADD COLUMN pause_requested INTEGER NOT NULL DEFAULT 0 CHECK(pause_requested IN (0, 1))",
    ]

    /// Holds and tags of versions.
    private static let keeping = [
        """
        CREATE TABLE hold(
          model TEXT NOT NULL, n INTEGER NOT NULL, reason TEXT NOT NULL, until INTEGER,
          who INTEGER NOT NULL, created INTEGER NOT NULL,
          PRIMARY KEY(model, n), FOREIGN KEY(model, n) REFERENCES version(model, n)) STRICT, WITHOUT ROWID
        """,
        """
        CREATE TABLE tag(
          model TEXT NOT NULL, name TEXT NOT NULL, n INTEGER NOT NULL,
          PRIMARY KEY(model, name), FOREIGN KEY(model, n) REFERENCES version(model, n)) STRICT, WITHOUT ROWID
        """,
    ]

    /// Purges, what must never come back, and the salts of certificates.
    private static let erasure = [
        """
        CREATE TABLE purge(
          id INTEGER PRIMARY KEY AUTOINCREMENT, job INTEGER REFERENCES job(id), reason TEXT, actor INTEGER NOT NULL,
          started INTEGER NOT NULL, finished INTEGER, result TEXT NOT NULL CHECK(json_valid(result))) STRICT
        """,
        """
        CREATE TABLE tombstone(
          digest TEXT PRIMARY KEY CHECK(length(digest) = 64), purge INTEGER NOT NULL REFERENCES purge(id),
          time INTEGER NOT NULL) STRICT, WITHOUT ROWID
        """,
        "ALTER TABLE version ADD COLUMN purged INTEGER",
        """
        CREATE TABLE commitment(
          job INTEGER PRIMARY KEY REFERENCES job(id), salt TEXT NOT NULL CHECK(length(salt) = 64)) STRICT
        """,
    ]

    /// Targets that follow heads, and what lies in their directories.
    private static let publishing = [
        """
        CREATE TABLE publication(
          target TEXT PRIMARY KEY, model TEXT NOT NULL REFERENCES model(name),
          version INTEGER, digest TEXT, switched INTEGER, hook_fault TEXT, job INTEGER REFERENCES job(id),
          ending INTEGER NOT NULL DEFAULT 0 CHECK(ending IN (0, 1)),
          who INTEGER NOT NULL, created INTEGER NOT NULL) STRICT, WITHOUT ROWID
        """,
        """
        CREATE TABLE publication_copy(
          target TEXT NOT NULL REFERENCES publication(target), name TEXT NOT NULL,
          model TEXT NOT NULL, n INTEGER NOT NULL, digest TEXT NOT NULL CHECK(length(digest) = 64),
          files TEXT NOT NULL CHECK(json_valid(files)),
          state TEXT NOT NULL CHECK(state IN ('writing', 'whole', 'leaving')),
          PRIMARY KEY(target, name), FOREIGN KEY(model, n) REFERENCES version(model, n)) STRICT, WITHOUT ROWID
        """,
    ]

    private static let first = [
        """
        CREATE TABLE model(
          name TEXT PRIMARY KEY,
          head INTEGER,
          generation INTEGER NOT NULL DEFAULT 0,
          created INTEGER NOT NULL,
          FOREIGN KEY(name, head) REFERENCES version(model, n) DEFERRABLE INITIALLY DEFERRED) STRICT
        """,
        """
        CREATE TABLE version(
          model TEXT NOT NULL REFERENCES model(name),
          n INTEGER NOT NULL CHECK(n >= 1),
          parent INTEGER,
          manifest TEXT NOT NULL CHECK(length(manifest) = 64),
          digest TEXT NOT NULL CHECK(length(digest) = 64),
          bytes INTEGER NOT NULL,
          stored_bytes INTEGER NOT NULL,
          architecture TEXT,
          job INTEGER REFERENCES job(id),
          candidate INTEGER NOT NULL CHECK(candidate IN (0, 1)),
          state TEXT NOT NULL CHECK(state IN ('live', 'gone')),
          created INTEGER NOT NULL,
          note TEXT,
          PRIMARY KEY(model, n)) STRICT, WITHOUT ROWID
        """,
        """
        CREATE TABLE head_move(
          id INTEGER PRIMARY KEY AUTOINCREMENT,
          model TEXT NOT NULL REFERENCES model(name),
          origin INTEGER, target INTEGER NOT NULL,
          time INTEGER NOT NULL, who INTEGER NOT NULL, why TEXT NOT NULL,
          undone TEXT NOT NULL CHECK(json_valid(undone))) STRICT
        """,
        """
        CREATE TABLE job(
          id INTEGER PRIMARY KEY AUTOINCREMENT,
          kind TEXT NOT NULL,
          model TEXT,
          spec TEXT NOT NULL CHECK(json_valid(spec)),
          state TEXT NOT NULL CHECK(state IN ('held', 'blocked', 'queued', 'running', 'paused', 'cancelling',
            'committing', 'succeeded', 'failed', 'cancelled', 'lost')),
          reason TEXT,
          interactive INTEGER NOT NULL CHECK(interactive IN (0, 1)),
          writes INTEGER NOT NULL CHECK(writes IN (0, 1)),
          priority INTEGER NOT NULL CHECK(priority BETWEEN -100 AND 100),
          run_at INTEGER NOT NULL DEFAULT 0,
          created INTEGER NOT NULL, started INTEGER, finished INTEGER,
          attempt INTEGER NOT NULL DEFAULT 0,
          interruptions INTEGER NOT NULL DEFAULT 0,
          epoch INTEGER NOT NULL DEFAULT 0,
          owner TEXT,
          cancel_requested TEXT CHECK(cancel_requested IN ('graceful', 'force')),
          memory INTEGER NOT NULL,
          base INTEGER, version INTEGER, digest TEXT, head_moved INTEGER, head_reason TEXT,
          gate TEXT, evaluation TEXT, training TEXT, result TEXT, error TEXT,
          warnings TEXT NOT NULL DEFAULT '[]' CHECK(json_valid(warnings)),
          submitter INTEGER NOT NULL,
          idempotency_key TEXT, idempotency_hash TEXT,
          CHECK((state IN ('succeeded', 'failed', 'cancelled', 'lost')) = (finished IS NOT NULL)),
          CHECK((state IN ('running', 'paused', 'cancelling', 'committing')) = (owner IS NOT NULL)),
          CHECK(version IS NULL OR state = 'succeeded')) STRICT
        """,
        "CREATE UNIQUE INDEX job_key ON job(submitter, idempotency_key) WHERE idempotency_key IS NOT NULL",
        // One active job writes versions of a model: a rule of the file, not of the code.
        """
        CREATE UNIQUE INDEX job_one_writer ON job(model)
          WHERE writes = 1 AND state IN ('running', 'paused', 'cancelling', 'committing')
        """,
        "CREATE INDEX job_ready ON job(interactive, priority DESC, id) WHERE state = 'queued'",
        "CREATE INDEX job_state ON job(state, id)",
        "CREATE INDEX job_model ON job(model, id)",
        """
        CREATE TABLE job_dep(
          job INTEGER NOT NULL REFERENCES job(id), on_job INTEGER NOT NULL REFERENCES job(id),
          condition TEXT NOT NULL CHECK(condition IN ('ok', 'any', 'notok')),
          PRIMARY KEY(job, on_job)) STRICT, WITHOUT ROWID
        """,
        "CREATE INDEX job_dep_on ON job_dep(on_job)",
        // Versions that an active job reads: they must not be purged.
        """
        CREATE TABLE pin(
          job INTEGER NOT NULL REFERENCES job(id), model TEXT NOT NULL, n INTEGER NOT NULL,
          PRIMARY KEY(job, model, n), FOREIGN KEY(model, n) REFERENCES version(model, n)) STRICT, WITHOUT ROWID
        """,
        """
        CREATE TABLE job_log(
          job INTEGER NOT NULL REFERENCES job(id), line INTEGER NOT NULL,
          time INTEGER NOT NULL, level TEXT NOT NULL, message TEXT NOT NULL,
          PRIMARY KEY(job, line)) STRICT, WITHOUT ROWID
        """,
        """
        CREATE TABLE event(
          seq INTEGER PRIMARY KEY AUTOINCREMENT,
          time INTEGER NOT NULL, type TEXT NOT NULL, job INTEGER, model TEXT,
          data TEXT NOT NULL CHECK(json_valid(data))) STRICT
        """,
        "CREATE INDEX event_job ON event(job, seq) WHERE job IS NOT NULL",
        """
        CREATE TABLE audit(
          seq INTEGER PRIMARY KEY CHECK(seq >= 1),
          time INTEGER NOT NULL, actor INTEGER NOT NULL, action TEXT NOT NULL,
          body TEXT NOT NULL CHECK(json_valid(body)),
          previous TEXT NOT NULL CHECK(length(previous) = 64),
          hash TEXT NOT NULL UNIQUE CHECK(length(hash) = 64)) STRICT
        """,
        "CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT raise(ABORT, 'audit rows are final'); END",
        "CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT raise(ABORT, 'audit rows are final'); END",
        """
        CREATE TABLE dataset(
          id TEXT PRIMARY KEY CHECK(length(id) = 64),
          bytes INTEGER NOT NULL, rows INTEGER NOT NULL, text_rows INTEGER NOT NULL, longest INTEGER NOT NULL,
          created INTEGER NOT NULL) STRICT, WITHOUT ROWID
        """,
        "CREATE TABLE setting(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
    ]
}
