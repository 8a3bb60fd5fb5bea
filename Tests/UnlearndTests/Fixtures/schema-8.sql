-- The database of schema 8 as a daemon of that schema would have left it.
BEGIN TRANSACTION;
PRAGMA defer_foreign_keys = ON;
CREATE TABLE audit(
  seq INTEGER PRIMARY KEY CHECK(seq >= 1),
  time INTEGER NOT NULL, actor INTEGER NOT NULL, action TEXT NOT NULL,
  body TEXT NOT NULL CHECK(json_valid(body)),
  previous TEXT NOT NULL CHECK(length(previous) = 64),
  hash TEXT NOT NULL UNIQUE CHECK(length(hash) = 64)) STRICT;
INSERT INTO "audit" VALUES(1,1763900000001,1000,'job.submit','{"job":1,"kind":"import","model":"people"}','0000000000000000000000000000000000000000000000000000000000000000','8112a8d07bb461500c30e0fef12a13e06037ba158cfcbf2ba5e224ae9c2c7c0a');
INSERT INTO "audit" VALUES(2,1763900000002,1000,'head.move','{"model":"people","to":"v1"}','8112a8d07bb461500c30e0fef12a13e06037ba158cfcbf2ba5e224ae9c2c7c0a','f2d0e8560304a8d1013dd798076efed6695504c37eb8fbddb7499f659ddc1987');
INSERT INTO "audit" VALUES(3,1763900000003,1000,'job.submit','{"forget":"babc1bd8ec812c742b4598d05a104f582c7d9b824022f4972aa0c2d4a3b0c85e","job":2,"kind":"ascent","model":"people"}','f2d0e8560304a8d1013dd798076efed6695504c37eb8fbddb7499f659ddc1987','e94154f9e225dd69495b95c86259896b28abe5307024809ead39c626e24e059c');
CREATE TABLE commitment(
  job INTEGER PRIMARY KEY REFERENCES job(id), salt TEXT NOT NULL CHECK(length(salt) = 64)) STRICT;
INSERT INTO "commitment" VALUES(2,'63479ad69a090b258277ec8fba6f99419a2ffb248981510657c944ccd1148e97');
CREATE TABLE dataset(
  id TEXT PRIMARY KEY CHECK(length(id) = 64),
  bytes INTEGER NOT NULL, rows INTEGER NOT NULL, text_rows INTEGER NOT NULL, longest INTEGER NOT NULL,
  created INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO "dataset" VALUES('babc1bd8ec812c742b4598d05a104f582c7d9b824022f4972aa0c2d4a3b0c85e',120,3,0,9,1763900000000);
CREATE TABLE event(
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  time INTEGER NOT NULL, type TEXT NOT NULL, job INTEGER, model TEXT,
  data TEXT NOT NULL CHECK(json_valid(data))) STRICT;
INSERT INTO "event" VALUES(1,1763900000000,'submitted',1,'people','{"kind":"import","state":"queued"}');
INSERT INTO "event" VALUES(2,1763900000000,'state',1,'people','{"from":"queued","reason":null,"to":"running"}');
INSERT INTO "event" VALUES(3,1763900000000,'head',1,'people','{"from":null,"to":"v1"}');
CREATE TABLE evidence(
  job INTEGER NOT NULL REFERENCES job(id), name TEXT NOT NULL,
  data TEXT NOT NULL CHECK(json_valid(data)), texts TEXT CHECK(texts IS NULL OR json_valid(texts)),
  purged INTEGER,
  PRIMARY KEY(job, name), CHECK(purged IS NULL OR texts IS NULL)) STRICT, WITHOUT ROWID;
INSERT INTO "evidence" VALUES(2,'samples','{"rows":[{"line":1}]}','{"rows":[{"prompt":"Who?"}]}',NULL);
CREATE TABLE grdb_migrations (identifier TEXT NOT NULL PRIMARY KEY);
INSERT INTO "grdb_migrations" VALUES('1');
INSERT INTO "grdb_migrations" VALUES('2');
INSERT INTO "grdb_migrations" VALUES('3');
INSERT INTO "grdb_migrations" VALUES('4');
INSERT INTO "grdb_migrations" VALUES('5');
INSERT INTO "grdb_migrations" VALUES('6');
INSERT INTO "grdb_migrations" VALUES('7');
INSERT INTO "grdb_migrations" VALUES('8');
CREATE TABLE head_move(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  model TEXT NOT NULL REFERENCES model(name),
  origin INTEGER, target INTEGER NOT NULL,
  time INTEGER NOT NULL, who INTEGER NOT NULL, why TEXT NOT NULL,
  undone TEXT NOT NULL CHECK(json_valid(undone))) STRICT;
INSERT INTO "head_move" VALUES(1,'people',NULL,1,1763900000020,1000,'job 1','[]');
INSERT INTO "head_move" VALUES(2,'people',1,2,1763900000030,1000,'job 2','[]');
CREATE TABLE hold(
  model TEXT NOT NULL, n INTEGER NOT NULL, reason TEXT NOT NULL, until INTEGER,
  who INTEGER NOT NULL, created INTEGER NOT NULL,
  PRIMARY KEY(model, n), FOREIGN KEY(model, n) REFERENCES version(model, n)) STRICT, WITHOUT ROWID;
INSERT INTO "hold" VALUES('people',1,'legal hold',NULL,1000,1763900000000);
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
  idempotency_key TEXT, idempotency_hash TEXT, checkpoint TEXT CHECK(checkpoint IS NULL OR json_valid(checkpoint)), pause_requested INTEGER NOT NULL DEFAULT 0 CHECK(pause_requested IN (0, 1)), job_group TEXT, disk INTEGER NOT NULL DEFAULT 0, retried INTEGER NOT NULL DEFAULT 0, retries_left INTEGER NOT NULL DEFAULT 0, deadline INTEGER, deadline_told INTEGER NOT NULL DEFAULT 0 CHECK(deadline_told IN (0, 1, 2)), placement TEXT CHECK(placement IS NULL OR json_valid(placement)), remote INTEGER NOT NULL DEFAULT 0 CHECK(remote IN (0, 1)),
  CHECK((state IN ('succeeded', 'failed', 'cancelled', 'lost')) = (finished IS NOT NULL)),
  CHECK((state IN ('running', 'paused', 'cancelling', 'committing')) = (owner IS NOT NULL)),
  CHECK(version IS NULL OR state = 'succeeded')) STRICT;
INSERT INTO "job" VALUES(1,'import','people','{"kind":"import","model":"people","parameters":{"transfer":"t"}}','succeeded',NULL,0,1,0,0,1763900000000,1763900000010,1763900000020,1,0,1,NULL,NULL,268435456,NULL,1,'3bfc269594ef649228e9a74bab00f042efc91d5acc6fbee31a382e80d42388fe',1,NULL,NULL,NULL,NULL,NULL,NULL,'[]',1000,NULL,NULL,NULL,0,NULL,0,0,0,NULL,0,NULL,0);
INSERT INTO "job" VALUES(2,'ascent','people','{"forget":"babc1bd8ec812c742b4598d05a104f582c7d9b824022f4972aa0c2d4a3b0c85e","gate":"forget<=0.9","kind":"ascent","labels":{"ticket":"17"},"model":"people","note":"request 17","parameters":{"alpha":0.5,"epochs":2}}','succeeded',NULL,0,1,0,0,1763900000000,1763900000010,1763900000020,1,0,1,NULL,NULL,268435456,1,2,'fb04dcb6970e4c3d1873de51fd5a50d7bb46b3383113602665c350ec40b5f990',1,NULL,'{"conditions":[{"measured":"0.1","name":"forget","passed":true,"required":"<=0.9"}],"passed":true}',NULL,'[{"epoch":1,"forget_loss":1.25,"loss":0.5,"retain_loss":0.25,"seconds":1.5,"steps":3}]',NULL,NULL,'[]',1000,'k','230d8358dc8e8890b4c58deeb62912ee2f20357ae92a5cc861b98e68fe31acb5',NULL,0,NULL,0,0,0,NULL,0,NULL,0);
INSERT INTO "job" VALUES(3,'ascent','people','{"forget":"babc1bd8ec812c742b4598d05a104f582c7d9b824022f4972aa0c2d4a3b0c85e","kind":"ascent","model":"people"}','failed','bad-input',0,1,0,0,1763900000000,1763900000010,1763900000020,1,0,1,NULL,NULL,268435456,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"hint":"mend it","kind":"bad-input","message":"line 3"}','[]',1000,NULL,NULL,NULL,0,NULL,0,0,0,NULL,0,NULL,0);
INSERT INTO "job" VALUES(4,'task-vector','people','{"kind":"task-vector","model":"people","parameters":{"finetuned":"people@v1"}}','cancelled','cancelled',0,1,0,0,1763900000000,1763900000010,1763900000020,1,0,1,NULL,NULL,268435456,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'[]',1000,NULL,NULL,NULL,0,NULL,0,0,0,NULL,0,NULL,0);
INSERT INTO "job" VALUES(5,'finetune','people','{"kind":"finetune","model":"people","retain":"babc1bd8ec812c742b4598d05a104f582c7d9b824022f4972aa0c2d4a3b0c85e"}','lost','interrupted',0,1,0,0,1763900000000,1763900000010,1763900000020,1,0,1,NULL,NULL,268435456,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'[]',1000,NULL,NULL,NULL,0,NULL,0,0,0,NULL,0,NULL,0);
INSERT INTO "job" VALUES(6,'task-vector','people','{"hold":true,"kind":"task-vector","model":"people","parameters":{"finetuned":"people@v1"}}','held',NULL,0,1,0,0,1763900000000,NULL,NULL,0,0,0,NULL,NULL,268435456,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'[]',1000,NULL,NULL,NULL,0,NULL,0,0,0,NULL,0,NULL,0);
INSERT INTO "job" VALUES(7,'task-vector','people','{"at":"2099-01-01T00:00:00.000Z","kind":"task-vector","model":"people","parameters":{"finetuned":"people@v1"},"priority":5}','queued','delayed',0,1,5,4070908800000,1763900000000,NULL,NULL,0,0,0,NULL,NULL,268435456,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'[]',1000,NULL,NULL,NULL,0,NULL,0,0,0,NULL,0,NULL,0);
INSERT INTO "job" VALUES(8,'task-vector','people','{"after":[{"condition":"ok","job":7}],"kind":"task-vector","model":"people","parameters":{"finetuned":"people@v1"}}','blocked','dependency',0,1,0,0,1763900000000,NULL,NULL,0,0,0,NULL,NULL,268435456,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'[]',1000,NULL,NULL,NULL,0,NULL,0,0,0,NULL,0,NULL,0);
INSERT INTO "job" VALUES(9,'evaluate','people','{"forget":"babc1bd8ec812c742b4598d05a104f582c7d9b824022f4972aa0c2d4a3b0c85e","kind":"evaluate","model":"people"}','running',NULL,0,0,0,0,1763900000000,1763900000010,NULL,1,0,1,'old',NULL,268435456,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'[]',1000,NULL,NULL,NULL,0,NULL,0,0,0,NULL,0,NULL,0);
INSERT INTO "job" VALUES(10,'import','people','{"kind":"import","model":"people","parameters":{"transfer":"gone"}}','queued',NULL,0,1,0,0,1763900000000,NULL,NULL,0,0,0,NULL,NULL,268435456,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'[]',1001,NULL,NULL,NULL,0,NULL,0,0,0,NULL,0,NULL,0);
INSERT INTO "job" VALUES(11,'finetune','people','{"kind":"finetune","model":"people","retain":"babc1bd8ec812c742b4598d05a104f582c7d9b824022f4972aa0c2d4a3b0c85e"}','paused',NULL,0,1,0,0,1763900000000,1763900000010,NULL,1,0,1,'old',NULL,268435456,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'[]',1000,NULL,NULL,'{"bytes":10,"step":3,"time":"2025-11-23T12:13:20.000Z","total":9}',0,NULL,0,0,0,NULL,0,NULL,0);
CREATE TABLE job_count(
  submitter INTEGER NOT NULL, interactive INTEGER NOT NULL, state TEXT NOT NULL,
  jobs INTEGER NOT NULL CHECK(jobs >= 0),
  PRIMARY KEY(submitter, interactive, state)) STRICT, WITHOUT ROWID;
INSERT INTO "job_count" VALUES(1000,0,'blocked',1);
INSERT INTO "job_count" VALUES(1000,0,'cancelled',1);
INSERT INTO "job_count" VALUES(1000,0,'failed',1);
INSERT INTO "job_count" VALUES(1000,0,'held',1);
INSERT INTO "job_count" VALUES(1000,0,'lost',1);
INSERT INTO "job_count" VALUES(1000,0,'paused',1);
INSERT INTO "job_count" VALUES(1000,0,'queued',1);
INSERT INTO "job_count" VALUES(1000,0,'running',1);
INSERT INTO "job_count" VALUES(1000,0,'succeeded',2);
INSERT INTO "job_count" VALUES(1001,0,'queued',1);
CREATE TABLE job_dep(
  job INTEGER NOT NULL REFERENCES job(id), on_job INTEGER NOT NULL REFERENCES job(id),
  condition TEXT NOT NULL CHECK(condition IN ('ok', 'any', 'notok')),
  PRIMARY KEY(job, on_job)) STRICT, WITHOUT ROWID;
INSERT INTO "job_dep" VALUES(8,7,'ok');
CREATE TABLE job_log(
  job INTEGER NOT NULL REFERENCES job(id), line INTEGER NOT NULL,
  time INTEGER NOT NULL, level TEXT NOT NULL, message TEXT NOT NULL,
  PRIMARY KEY(job, line)) STRICT, WITHOUT ROWID;
INSERT INTO "job_log" VALUES(2,1,1763900000000,'info','kernels avx2');
INSERT INTO "job_log" VALUES(3,1,1763900000000,'error','line 3');
CREATE TABLE model(
  name TEXT PRIMARY KEY,
  head INTEGER,
  generation INTEGER NOT NULL DEFAULT 0,
  created INTEGER NOT NULL,
  FOREIGN KEY(name, head) REFERENCES version(model, n) DEFERRABLE INITIALLY DEFERRED) STRICT;
INSERT INTO "model" VALUES('people',2,2,1763900000000);
CREATE TABLE pin(
  job INTEGER NOT NULL REFERENCES job(id), model TEXT NOT NULL, n INTEGER NOT NULL,
  PRIMARY KEY(job, model, n), FOREIGN KEY(model, n) REFERENCES version(model, n)) STRICT, WITHOUT ROWID;
INSERT INTO "pin" VALUES(11,'people',1);
CREATE TABLE publication(
  target TEXT PRIMARY KEY, model TEXT NOT NULL REFERENCES model(name),
  version INTEGER, digest TEXT, switched INTEGER, hook_fault TEXT, job INTEGER REFERENCES job(id),
  ending INTEGER NOT NULL DEFAULT 0 CHECK(ending IN (0, 1)),
  who INTEGER NOT NULL, created INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO "publication" VALUES('serving','people',2,'fb04dcb6970e4c3d1873de51fd5a50d7bb46b3383113602665c350ec40b5f990',1763900000000,NULL,NULL,0,1000,1763900000000);
CREATE TABLE publication_copy(
  target TEXT NOT NULL REFERENCES publication(target), name TEXT NOT NULL,
  model TEXT NOT NULL, n INTEGER NOT NULL, digest TEXT NOT NULL CHECK(length(digest) = 64),
  files TEXT NOT NULL CHECK(json_valid(files)),
  state TEXT NOT NULL CHECK(state IN ('writing', 'whole', 'leaving')),
  PRIMARY KEY(target, name), FOREIGN KEY(model, n) REFERENCES version(model, n)) STRICT, WITHOUT ROWID;
INSERT INTO "publication_copy" VALUES('serving','v2-x','people',2,'fb04dcb6970e4c3d1873de51fd5a50d7bb46b3383113602665c350ec40b5f990','[]','whole');
CREATE TABLE purge(
  id INTEGER PRIMARY KEY AUTOINCREMENT, job INTEGER REFERENCES job(id), reason TEXT, actor INTEGER NOT NULL,
  started INTEGER NOT NULL, finished INTEGER, result TEXT NOT NULL CHECK(json_valid(result))) STRICT;
INSERT INTO "purge" VALUES(1,NULL,'request 3',0,1763900000000,1763900000005,'{}');
CREATE TABLE setting(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO "setting" VALUES('queue-paused','on');
CREATE TABLE tag(
  model TEXT NOT NULL, name TEXT NOT NULL, n INTEGER NOT NULL,
  PRIMARY KEY(model, name), FOREIGN KEY(model, n) REFERENCES version(model, n)) STRICT, WITHOUT ROWID;
INSERT INTO "tag" VALUES('people','audit',1);
CREATE TABLE tombstone(
  digest TEXT PRIMARY KEY CHECK(length(digest) = 64), purge INTEGER NOT NULL REFERENCES purge(id),
  time INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO "tombstone" VALUES('06ffaca77b9e061c99f5e3ff25851ba2a587068b9f16d30b1d1c5e612321fb2a',1,1763900000000);
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
  note TEXT, purged INTEGER,
  PRIMARY KEY(model, n)) STRICT, WITHOUT ROWID;
INSERT INTO "version" VALUES('people',1,NULL,'ca0df2c95aa144c1d0ff2ff3c8f967fdc1de9ef0c4120b3726416701b519d619','3bfc269594ef649228e9a74bab00f042efc91d5acc6fbee31a382e80d42388fe',1000,500,'GPT2LMHeadModel',1,0,'live',1763900000001,NULL,NULL);
INSERT INTO "version" VALUES('people',2,1,'29c1b289e7522195b362e44f54e05470b69ad20540ab60a18a05e5bf6951f13d','fb04dcb6970e4c3d1873de51fd5a50d7bb46b3383113602665c350ec40b5f990',1000,500,'GPT2LMHeadModel',2,0,'live',1763900000002,NULL,NULL);
CREATE UNIQUE INDEX job_key ON job(submitter, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE UNIQUE INDEX job_one_writer ON job(model)
  WHERE writes = 1 AND state IN ('running', 'paused', 'cancelling', 'committing');
CREATE INDEX job_state ON job(state, id);
CREATE INDEX job_model ON job(model, id);
CREATE INDEX job_dep_on ON job_dep(on_job);
CREATE INDEX event_job ON event(job, seq) WHERE job IS NOT NULL;
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT raise(ABORT, 'audit rows are final'); END;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT raise(ABORT, 'audit rows are final'); END;
CREATE TRIGGER job_added AFTER INSERT ON job BEGIN
  INSERT INTO job_count(submitter, interactive, state, jobs)
    VALUES (new.submitter, new.interactive, new.state, 1)
    ON CONFLICT(submitter, interactive, state) DO UPDATE SET jobs = jobs + 1;
END;
CREATE TRIGGER job_moved AFTER UPDATE OF state ON job WHEN old.state IS NOT new.state BEGIN
  UPDATE job_count SET jobs = jobs - 1
    WHERE submitter = old.submitter AND interactive = old.interactive AND state = old.state;
  INSERT INTO job_count(submitter, interactive, state, jobs)
    VALUES (new.submitter, new.interactive, new.state, 1)
    ON CONFLICT(submitter, interactive, state) DO UPDATE SET jobs = jobs + 1;
END;
CREATE INDEX job_turn ON job(interactive, submitter, priority DESC, id) WHERE state = 'queued';
CREATE INDEX job_new ON job(interactive) WHERE state = 'queued' AND reason IS NULL;
CREATE INDEX job_started ON job(submitter, interactive, started) WHERE started IS NOT NULL;
CREATE INDEX job_delayed ON job(run_at) WHERE state = 'queued' AND run_at > 0;
CREATE INDEX job_deadline ON job(deadline)
  WHERE deadline IS NOT NULL AND deadline_told < 2 AND finished IS NULL;
CREATE INDEX job_by_group ON job(job_group, state) WHERE job_group IS NOT NULL AND finished IS NULL;
CREATE INDEX job_sweep ON job(json_extract(spec, '$.sweep.family'), id)
  WHERE json_extract(spec, '$.sweep.family') IS NOT NULL;
CREATE INDEX job_files ON job(id)
  WHERE state IN ('held', 'blocked', 'queued') AND json_extract(spec, '$.parameters.transfer') IS NOT NULL;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('job',11);
INSERT INTO "sqlite_sequence" VALUES('head_move',2);
INSERT INTO "sqlite_sequence" VALUES('event',3);
INSERT INTO "sqlite_sequence" VALUES('purge',1);
COMMIT;
PRAGMA application_id = 1970170980;
PRAGMA user_version = 8;
