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
INSERT INTO "alembic_version" VALUES('0003');
CREATE TABLE answers (
	"key" TEXT NOT NULL, 
	fingerprint TEXT NOT NULL, 
	body BLOB NOT NULL, 
	created_at TEXT NOT NULL, 
	PRIMARY KEY ("key")
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
CREATE INDEX roadmaps_of_project ON roadmaps (project_id, created_at);
CREATE INDEX chats_of_roadmap ON chats (roadmap_id, created_at);
CREATE INDEX messages_of_chat ON messages (chat_id, position);
CREATE INDEX answers_by_age ON answers (created_at);
CREATE INDEX ai_sessions_by_age ON ai_sessions (created_at);
CREATE INDEX ai_messages_of_session ON ai_messages (session_id, position);
