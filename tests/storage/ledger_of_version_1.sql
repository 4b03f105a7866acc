PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE alerts (alert_id TEXT PRIMARY KEY, document TEXT NOT NULL);
CREATE TABLE bookings (
    booking_id INTEGER PRIMARY KEY, kind TEXT NOT NULL, hour TEXT NOT NULL, month TEXT NOT NULL, day TEXT NOT NULL,
    id_tag TEXT NOT NULL, wh INTEGER NOT NULL, booked_at TEXT NOT NULL, charge_point_id TEXT NOT NULL,
    transaction_id INTEGER, is_on_quota INTEGER NOT NULL, reason TEXT NOT NULL
);
INSERT INTO "bookings" VALUES(1,'energy','2025-01-15T09:00:00Z','2025-01','2025-01-15','RFID001',300,'2025-01-15T09:01:00Z','SCHNEIDER/EVlinkProAC',1216800,1,'');
INSERT INTO "bookings" VALUES(2,'energy','2025-01-15T09:00:00Z','2025-01','2025-01-15','RFID002',200,'2025-01-15T09:01:00Z','SCHNEIDER/EVlinkProAC',1216801,1,'');
INSERT INTO "bookings" VALUES(3,'energy','2025-01-15T09:00:00Z','2025-01','2025-01-15','RFID002',500,'2025-01-15T09:03:00Z','SCHNEIDER/EVlinkProAC',1216801,1,'');
CREATE TABLE charge_points (id TEXT PRIMARY KEY, document TEXT NOT NULL);
INSERT INTO "charge_points" VALUES('SCHNEIDER/EVlinkProAC','{"charge_point_id":"SCHNEIDER/EVlinkProAC","first_seen":"2025-01-15T08:00:00Z","admission":"approved","vendor":"","model":"","serial_number":"","firmware_version":"","booted_at":"2025-01-15T08:00:00Z","configured_boot":null,"connected_since":"2025-01-15T08:00:00Z","gaps":[{"since":null,"until":"2025-01-15T08:00:00Z"}],"connectors":[],"has_right_clock":true,"register_unit":null,"resolution":100,"power_scale":null,"power_scale_hits":0,"proven_power_w":null,"stop_delay_s":null,"unattributed":0,"key_hash":"","min_security_profile":0,"security_profile":0,"address":"","home_address":"","disconnected_at":null,"readonly_keys":[]}');
INSERT INTO "charge_points" VALUES('LIVOLTEK_01','{"charge_point_id":"LIVOLTEK_01","first_seen":"2025-01-15T08:00:00Z","admission":"approved","vendor":"","model":"","serial_number":"","firmware_version":"","booted_at":"2025-01-15T08:00:00Z","configured_boot":null,"connected_since":"2025-01-15T08:00:00Z","gaps":[{"since":null,"until":"2025-01-15T08:00:00Z"}],"connectors":[],"has_right_clock":null,"register_unit":null,"resolution":null,"power_scale":null,"power_scale_hits":0,"proven_power_w":null,"stop_delay_s":null,"unattributed":0,"key_hash":"","min_security_profile":0,"security_profile":0,"address":"","home_address":"","disconnected_at":null,"readonly_keys":[]}');
CREATE TABLE configurations (id TEXT PRIMARY KEY, at TEXT NOT NULL, document TEXT NOT NULL);
CREATE TABLE delivered (charge_point_id TEXT PRIMARY KEY, wh INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO "delivered" VALUES('SCHNEIDER/EVlinkProAC',1000);
CREATE TABLE energy_by_day (
    id_tag TEXT NOT NULL, day TEXT NOT NULL, wh INTEGER NOT NULL, PRIMARY KEY (id_tag, day)
) WITHOUT ROWID;
INSERT INTO "energy_by_day" VALUES('RFID001','2025-01-15',300);
INSERT INTO "energy_by_day" VALUES('RFID002','2025-01-15',700);
CREATE TABLE energy_by_hour (
    charge_point_id TEXT NOT NULL, hour TEXT NOT NULL, wh INTEGER NOT NULL, PRIMARY KEY (charge_point_id, hour)
) WITHOUT ROWID;
INSERT INTO "energy_by_hour" VALUES('SCHNEIDER/EVlinkProAC','2025-01-15T09:00:00Z',1000);
CREATE TABLE in_force (name TEXT PRIMARY KEY, document TEXT NOT NULL);
INSERT INTO "in_force" VALUES('users','{"users":{"RFID001":{"id_tag":"RFID001","account":"RFID001","name":"John","surname":"Doe","quota":200000,"blocked":false,"expiry_date":null},"RFID002":{"id_tag":"RFID002","account":"RFID002","name":"John","surname":"Doe","quota":null,"blocked":false,"expiry_date":null}}}');
INSERT INTO "in_force" VALUES('open_month','"2025-01"');
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "meta" VALUES('created','2025-01-15T09:00:00+00:00');
INSERT INTO "meta" VALUES('first_transaction_id','1242000');
CREATE TABLE notes (number INTEGER PRIMARY KEY, at TEXT NOT NULL, kind TEXT NOT NULL, document TEXT NOT NULL);
INSERT INTO "notes" VALUES(1,'2025-01-15T08:01:00Z','month','{"kind":"month","at":"2025-01-15T08:01:00Z","text":"month opened","charge_point_id":"","connector_id":null,"transaction_id":null,"id_tag":"","figures":[["month","2025-01"],["closed","None"]]}');
INSERT INTO "notes" VALUES(2,'2025-01-15T09:02:00Z','set aside','{"kind":"set aside","at":"2025-01-15T09:02:00Z","text":"set aside: more than could be delivered","charge_point_id":"SCHNEIDER/EVlinkProAC","connector_id":1,"transaction_id":1216800,"id_tag":"RFID001","figures":[["before_wh","100300"],["after_wh","160300"]]}');
INSERT INTO "notes" VALUES(3,'2025-01-15T09:04:00Z','orphan','{"kind":"orphan","at":"2025-01-15T09:04:00Z","text":"stop for no session that is known","charge_point_id":"SCHNEIDER/EVlinkProAC","connector_id":null,"transaction_id":null,"id_tag":"RFID002","figures":[["transaction","77"],["meter_stop","9000"],["timestamp","2025-01-15T09:04:00Z"],["reason","Local"]]}');
CREATE TABLE readings (number INTEGER PRIMARY KEY, document TEXT NOT NULL);
INSERT INTO "readings" VALUES(1,'{"number":1,"key":"SCHNEIDER/EVlinkProAC|1216800|2025-01-15T09:01:00Z|100300","at":"2025-01-15T09:01:00Z","charge_point_id":"SCHNEIDER/EVlinkProAC","connector_id":1,"transaction_id":1216800,"id_tag":"RFID001","full_name":"John Doe","power_w":18000,"register":100300,"frequency_hz":null}');
INSERT INTO "readings" VALUES(2,'{"number":2,"key":"SCHNEIDER/EVlinkProAC|1216800|2025-01-15T09:02:00Z|160300","at":"2025-01-15T09:02:00Z","charge_point_id":"SCHNEIDER/EVlinkProAC","connector_id":1,"transaction_id":1216800,"id_tag":"RFID001","full_name":"John Doe","power_w":18000,"register":160300,"frequency_hz":null}');
INSERT INTO "readings" VALUES(3,'{"number":3,"key":"SCHNEIDER/EVlinkProAC|1216801|2025-01-15T09:01:00Z|5200","at":"2025-01-15T09:01:00Z","charge_point_id":"SCHNEIDER/EVlinkProAC","connector_id":2,"transaction_id":1216801,"id_tag":"RFID002","full_name":"John Doe","power_w":12000,"register":5200,"frequency_hz":null}');
CREATE TABLE refused_tags (number INTEGER PRIMARY KEY, document TEXT NOT NULL);
CREATE TABLE seen (id TEXT PRIMARY KEY, last_seen TEXT NOT NULL, last_heartbeat TEXT);
INSERT INTO "seen" VALUES('SCHNEIDER/EVlinkProAC','2025-01-15T09:04:00Z',NULL);
INSERT INTO "seen" VALUES('LIVOLTEK_01','2025-01-15T08:00:00Z',NULL);
CREATE TABLE transactions (
    transaction_id INTEGER PRIMARY KEY, charge_point_id TEXT NOT NULL, id_tag TEXT NOT NULL, started_at TEXT NOT NULL,
    ended_at TEXT, document TEXT NOT NULL
);
INSERT INTO "transactions" VALUES(1216800,'SCHNEIDER/EVlinkProAC','RFID001','2025-01-15T09:00:00Z',NULL,'{"transaction_id":1216800,"charge_point_id":"SCHNEIDER/EVlinkProAC","connector_id":1,"id_tag":"RFID001","stated_id_tag":"RFID001","account":"RFID001","full_name":"John Doe","status":"Accepted","start_stamp":"2025-01-15T09:00:00Z","start_meter_text":"1E+5","is_start_clock_doubtful":false,"started_at":"2025-01-15T09:00:00Z","received_at":"2025-01-15T09:00:00Z","register":{"start":100000,"base":100000,"last":100300,"last_moment":{"raw":"2025-01-15T09:01:00Z","at":"2025-01-15T09:01:00Z","received":"2025-01-15T09:01:00Z","is_clock_doubtful":false,"earliest":null},"increased_moment":{"raw":"2025-01-15T09:01:00Z","at":"2025-01-15T09:01:00Z","received":"2025-01-15T09:01:00Z","is_clock_doubtful":false,"earliest":null},"carried":0,"slack_left":1000,"is_sampled":true,"jump":{"value":160300,"moment":{"raw":"2025-01-15T09:02:00Z","at":"2025-01-15T09:02:00Z","received":"2025-01-15T09:02:00Z","is_clock_doubtful":false,"earliest":null}},"lower":null,"scale_moment":null,"resolution":100,"power_w":18000,"intervals":0,"start_unit":null},"is_on_quota":true,"booked":[["2025-01",300]],"booked_at":"2025-01-15T09:02:00Z","reading_received_at":"2025-01-15T09:02:00Z","sample_interval_s":null,"power_w":18000,"flow_w":18000,"reported_power_w":null,"stop":null,"ended_at":null,"ended_received_at":null,"end_kind":null,"stop_reason":"","stop_stamp":"","stop_meter_text":"","highest_register":null,"is_stale":false,"overshoot":null,"flags":[]}');
INSERT INTO "transactions" VALUES(1216801,'SCHNEIDER/EVlinkProAC','RFID002','2025-01-15T09:00:00Z','2025-01-15T09:03:00Z','{"transaction_id":1216801,"charge_point_id":"SCHNEIDER/EVlinkProAC","connector_id":2,"id_tag":"RFID002","stated_id_tag":"RFID002","account":"RFID002","full_name":"John Doe","status":"Accepted","start_stamp":"2025-01-15T09:00:00Z","start_meter_text":"5E+3","is_start_clock_doubtful":false,"started_at":"2025-01-15T09:00:00Z","received_at":"2025-01-15T09:00:00Z","register":{"start":5000,"base":5000,"last":5700,"last_moment":{"raw":"2025-01-15T09:03:00Z","at":"2025-01-15T09:03:00Z","received":"2025-01-15T09:03:00Z","is_clock_doubtful":false,"earliest":null},"increased_moment":{"raw":"2025-01-15T09:01:00Z","at":"2025-01-15T09:01:00Z","received":"2025-01-15T09:01:00Z","is_clock_doubtful":false,"earliest":null},"carried":0,"slack_left":1000,"is_sampled":true,"jump":null,"lower":null,"scale_moment":null,"resolution":100,"power_w":12000,"intervals":0,"start_unit":null},"is_on_quota":true,"booked":[["2025-01",700]],"booked_at":"2025-01-15T09:01:00Z","reading_received_at":"2025-01-15T09:01:00Z","sample_interval_s":null,"power_w":0,"flow_w":0,"reported_power_w":null,"stop":null,"ended_at":"2025-01-15T09:03:00Z","ended_received_at":"2025-01-15T09:03:00Z","end_kind":"stopped","stop_reason":"Local","stop_stamp":"2025-01-15T09:03:00Z","stop_meter_text":"5.7E+3","highest_register":null,"is_stale":false,"overshoot":null,"flags":[]}');
CREATE TABLE usage (
    month TEXT NOT NULL, id_tag TEXT NOT NULL, wh INTEGER NOT NULL, PRIMARY KEY (month, id_tag)
) WITHOUT ROWID;
INSERT INTO "usage" VALUES('2025-01','RFID001',300);
INSERT INTO "usage" VALUES('2025-01','RFID002',700);
CREATE TRIGGER booked AFTER INSERT ON bookings BEGIN
    INSERT INTO energy_by_day VALUES (NEW.id_tag, NEW.day, NEW.wh)
        ON CONFLICT (id_tag, day) DO UPDATE SET wh = wh + excluded.wh;
END;
CREATE TRIGGER booked_on_quota AFTER INSERT ON bookings WHEN NEW.is_on_quota BEGIN
    INSERT INTO usage VALUES (NEW.month, NEW.id_tag, NEW.wh)
        ON CONFLICT (month, id_tag) DO UPDATE SET wh = wh + excluded.wh;
END;
CREATE TRIGGER booked_at_charge_point AFTER INSERT ON bookings WHEN NEW.charge_point_id <> '' BEGIN
    INSERT INTO delivered VALUES (NEW.charge_point_id, NEW.wh)
        ON CONFLICT (charge_point_id) DO UPDATE SET wh = wh + excluded.wh;
    INSERT INTO energy_by_hour VALUES (NEW.charge_point_id, NEW.hour, NEW.wh)
        ON CONFLICT (charge_point_id, hour) DO UPDATE SET wh = wh + excluded.wh;
END;
CREATE INDEX transactions_by_end ON transactions (ended_at);
COMMIT;
