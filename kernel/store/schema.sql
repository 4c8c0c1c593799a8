CREATE TABLE ai_messages (
	position INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	id TEXT NOT NULL, 
	session_id TEXT NOT NULL, 
	role TEXT NOT NULL, 
	content TEXT NOT NULL, 
	status TEXT NOT NULL, 
	backend TEXT, 
	model TEXT, 
	finish_reason TEXT, 
	usage JSON, 
	error JSON, 
	created_at TEXT NOT NULL, 
	finished_at TEXT, 
	UNIQUE (id), 
	FOREIGN KEY(session_id) REFERENCES ai_sessions (id) ON DELETE CASCADE
);
CREATE TABLE ai_sessions (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	name_key TEXT NOT NULL, 
	backend TEXT NOT NULL, 
	model TEXT, 
	workspace_path TEXT, 
	permissions TEXT NOT NULL, 
	agent_session TEXT, 
	created_at TEXT NOT NULL, 
	updated_at TEXT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0007');
CREATE TABLE answers (
	"key" TEXT NOT NULL, 
	fingerprint TEXT NOT NULL, 
	body BLOB NOT NULL, 
	created_at TEXT NOT NULL, 
	PRIMARY KEY ("key")
);
CREATE TABLE api_keys (
	id TEXT NOT NULL, 
	user_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	hash TEXT NOT NULL, 
	scopes JSON, 
	created_at TEXT NOT NULL, 
	expires_at TEXT, 
	last_used_at TEXT, 
	PRIMARY KEY (id), 
	FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE TABLE artifacts (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	name_key TEXT NOT NULL, 
	run_id TEXT, 
	description TEXT, 
	filename TEXT NOT NULL, 
	sha256 TEXT NOT NULL, 
	size BIGINT NOT NULL, 
	created_at TEXT NOT NULL, 
	updated_at TEXT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(sha256) REFERENCES blobs (sha256)
);
CREATE TABLE audit (
	seq INTEGER NOT NULL, 
	record TEXT NOT NULL, 
	hash BLOB NOT NULL, 
	PRIMARY KEY (seq)
);
CREATE TABLE audit_head (
	id INTEGER NOT NULL, 
	seq INTEGER NOT NULL, 
	hash BLOB NOT NULL, 
	seal BLOB NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE blob_removals (
	place TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	PRIMARY KEY (place)
);
CREATE TABLE blobs (
	sha256 TEXT NOT NULL, 
	size BIGINT NOT NULL, 
	place TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	PRIMARY KEY (sha256), 
	UNIQUE (place)
);
CREATE TABLE chats (
	id TEXT NOT NULL, 
	roadmap_id TEXT NOT NULL, 
	title TEXT NOT NULL, 
	title_key TEXT NOT NULL, 
	note TEXT, 
	status TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	updated_at TEXT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(roadmap_id) REFERENCES roadmaps (id) ON DELETE CASCADE
);
CREATE TABLE datasets (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	name_key TEXT NOT NULL, 
	description TEXT, 
	filename TEXT NOT NULL, 
	sha256 TEXT NOT NULL, 
	size BIGINT NOT NULL, 
	created_at TEXT NOT NULL, 
	updated_at TEXT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name_key), 
	FOREIGN KEY(sha256) REFERENCES blobs (sha256)
);
CREATE TABLE device_codes (
	hash TEXT NOT NULL, 
	user_code TEXT NOT NULL, 
	client TEXT NOT NULL, 
	status TEXT NOT NULL, 
	user_id TEXT, 
	interval INTEGER NOT NULL, 
	polled_at TEXT, 
	expires_at TEXT NOT NULL, 
	PRIMARY KEY (hash), 
	UNIQUE (user_code), 
	FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE TABLE messages (
	position INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	id TEXT NOT NULL, 
	chat_id TEXT NOT NULL, 
	role TEXT NOT NULL, 
	content TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	UNIQUE (id), 
	FOREIGN KEY(chat_id) REFERENCES chats (id) ON DELETE CASCADE
);
CREATE TABLE pipelines (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	name_key TEXT NOT NULL, 
	description TEXT, 
	project_id TEXT, 
	revision INTEGER NOT NULL, 
	document JSON NOT NULL, 
	step_count INTEGER NOT NULL, 
	created_at TEXT NOT NULL, 
	updated_at TEXT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name_key), 
	FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE CASCADE
);
CREATE TABLE projects (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	name_key TEXT NOT NULL, 
	category TEXT, 
	description TEXT, 
	status TEXT NOT NULL, 
	theme JSON NOT NULL, 
	content_path TEXT, 
	made_folder BOOLEAN NOT NULL, 
	git_url TEXT, 
	hidden BOOLEAN DEFAULT 0 NOT NULL, 
	created_at TEXT NOT NULL, 
	updated_at TEXT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name_key)
);
CREATE TABLE roadmaps (
	id TEXT NOT NULL, 
	project_id TEXT NOT NULL, 
	title TEXT NOT NULL, 
	title_key TEXT NOT NULL, 
	tags JSON NOT NULL, 
	status TEXT NOT NULL, 
	progress INTEGER NOT NULL, 
	created_at TEXT NOT NULL, 
	updated_at TEXT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE CASCADE
);
CREATE TABLE role_grants (
	user_id TEXT NOT NULL, 
	role_id TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	PRIMARY KEY (user_id, role_id), 
	FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE, 
	FOREIGN KEY(role_id) REFERENCES roles (id) ON DELETE CASCADE
);
CREATE TABLE roles (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	name_key TEXT NOT NULL, 
	description TEXT, 
	patterns JSON NOT NULL, 
	built_in BOOLEAN DEFAULT 0 NOT NULL, 
	created_at TEXT NOT NULL, 
	updated_at TEXT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name_key)
);
INSERT INTO "roles" VALUES('rol_admin','admin','admin','All of it.','["*"]',1,'2026-01-01T00:00:00.000000Z','2026-01-01T00:00:00.000000Z');
INSERT INTO "roles" VALUES('rol_member','member','member','All work; no accounts, secrets, audit or kernel.','["agent.*", "ai.*", "session.*", "data.*", "pipeline.*", "network.*"]',1,'2026-01-01T00:00:00.000000Z','2026-01-01T00:00:00.000000Z');
INSERT INTO "roles" VALUES('rol_viewer','viewer','viewer','Lists and views of all work.','["agent.*.list", "agent.*.view", "ai.*.list", "ai.*.view", "session.*.list", "session.*.view", "data.*.list", "data.*.view", "pipeline.*.list", "pipeline.*.view", "network.*.list", "network.*.view", "agent.file.browse", "agent.file.read"]',1,'2026-01-01T00:00:00.000000Z','2026-01-01T00:00:00.000000Z');
CREATE TABLE run_attempts (
	run_id TEXT NOT NULL, 
	step TEXT NOT NULL, 
	number INTEGER NOT NULL, 
	fence INTEGER NOT NULL, 
	status TEXT NOT NULL, 
	exit_code INTEGER, 
	reason TEXT, 
	error JSON, 
	artifacts JSON, 
	started_at TEXT NOT NULL, 
	finished_at TEXT, 
	PRIMARY KEY (run_id, step, number), 
	FOREIGN KEY(run_id, step) REFERENCES run_steps (run_id, name) ON DELETE CASCADE
);
CREATE TABLE run_steps (
	run_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	position INTEGER NOT NULL, 
	status TEXT NOT NULL, 
	attempt INTEGER NOT NULL, 
	exit_code INTEGER, 
	reason TEXT, 
	started_at TEXT, 
	finished_at TEXT, 
	next_attempt_at TEXT, 
	spent INTEGER NOT NULL, 
	PRIMARY KEY (run_id, name), 
	FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
);
CREATE TABLE runs (
	id TEXT NOT NULL, 
	pipeline_id TEXT NOT NULL, 
	pipeline_name TEXT NOT NULL, 
	revision INTEGER NOT NULL, 
	document JSON NOT NULL, 
	parameters JSON NOT NULL, 
	datasets JSON NOT NULL, 
	project_id TEXT, 
	status TEXT NOT NULL, 
	reason TEXT, 
	session_id TEXT, 
	kernel TEXT NOT NULL, 
	fence INTEGER NOT NULL, 
	lease_until TEXT, 
	retry_of TEXT, 
	started_by TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	started_at TEXT, 
	finished_at TEXT, 
	PRIMARY KEY (id), 
	FOREIGN KEY(pipeline_id) REFERENCES pipelines (id) ON DELETE CASCADE
);
CREATE TABLE seals (
	purpose TEXT NOT NULL, 
	mark TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	PRIMARY KEY (purpose)
);
CREATE TABLE secrets (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	name_key TEXT NOT NULL, 
	sealed BLOB NOT NULL, 
	version INTEGER NOT NULL, 
	rotation JSON, 
	rotates_at TEXT, 
	created_at TEXT NOT NULL, 
	rotated_at TEXT NOT NULL, source JSON, 
	PRIMARY KEY (id), 
	UNIQUE (name_key)
);
CREATE TABLE server_drains (
	server_id TEXT NOT NULL, 
	since TEXT NOT NULL, 
	PRIMARY KEY (server_id)
);
CREATE TABLE servers (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	name_key TEXT NOT NULL, 
	type TEXT NOT NULL, 
	url TEXT NOT NULL, 
	health_path TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	updated_at TEXT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name_key)
);
CREATE TABLE templates (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	name_key TEXT NOT NULL, 
	content TEXT NOT NULL, 
	description TEXT, 
	category TEXT, 
	favorite BOOLEAN DEFAULT 0 NOT NULL, 
	created_at TEXT NOT NULL, 
	updated_at TEXT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name_key)
);
CREATE TABLE token_families (
	id TEXT NOT NULL, 
	user_id TEXT NOT NULL, 
	current TEXT NOT NULL, 
	previous TEXT, 
	rotated_at TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	expires_at TEXT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE TABLE uploads (
	id TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	item JSON NOT NULL, 
	resume_key TEXT, 
	size BIGINT NOT NULL, 
	part_size BIGINT NOT NULL, 
	draft TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	expires_at TEXT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE users (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	name_key TEXT NOT NULL, 
	password TEXT, 
	disabled BOOLEAN DEFAULT 0 NOT NULL, 
	generation INTEGER DEFAULT 1 NOT NULL, 
	created_at TEXT NOT NULL, 
	updated_at TEXT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name_key)
);
CREATE INDEX roadmaps_of_project ON roadmaps (project_id, created_at);
CREATE INDEX chats_of_roadmap ON chats (roadmap_id, created_at);
CREATE INDEX messages_of_chat ON messages (chat_id, position);
CREATE INDEX answers_by_age ON answers (created_at);
CREATE INDEX ai_sessions_by_age ON ai_sessions (created_at);
CREATE INDEX ai_messages_of_session ON ai_messages (session_id, position);
CREATE INDEX role_grants_of_role ON role_grants (role_id);
CREATE INDEX token_families_of_user ON token_families (user_id);
CREATE INDEX token_families_by_end ON token_families (expires_at);
CREATE INDEX api_keys_of_user ON api_keys (user_id);
CREATE INDEX datasets_of_blob ON datasets (sha256);
CREATE INDEX artifacts_of_blob ON artifacts (sha256);
CREATE INDEX artifacts_of_run ON artifacts (run_id, created_at);
CREATE INDEX uploads_by_key ON uploads (kind, resume_key);
CREATE INDEX uploads_by_expiry ON uploads (expires_at);
CREATE INDEX pipelines_of_project ON pipelines (project_id, created_at);
CREATE INDEX runs_by_age ON runs (created_at);
CREATE INDEX runs_of_pipeline ON runs (pipeline_id, created_at);
CREATE INDEX runs_by_lease ON runs (status, lease_until);
