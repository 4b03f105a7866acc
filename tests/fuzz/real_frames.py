"""Frames as charge points send them: all fourteen messages, with the habits of brands that the field reports.

The three of LIVOLTEK, EVlink and Generic are what `simulator` sends; the others are written after the reports that
docs/accounting.md and docs/faults.md rest on. Their transaction ids are small, so that they meet real sessions.
"""

FRAMES: tuple[bytes, ...] = (
    # the spec's own shape
    b'[2,"b1","BootNotification",{"chargePointVendor":"Generic","chargePointModel":"AC-22","firmwareVersion":"1.0"}]',
    b'[2,"h1","Heartbeat",{}]',
    b'[2,"a1","Authorize",{"idTag":"FUZZ-TAG-0001"}]',
    (
        b'[2,"s1","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Available",'
        b'"timestamp":"2025-01-15T10:30:00Z"}]'
    ),
    (
        b'[2,"t1","StartTransaction",{"connectorId":1,"idTag":"FUZZ-TAG-0001","meterStart":1000,'
        b'"timestamp":"2025-01-15T10:30:00.000Z"}]'
    ),
    (
        b'[2,"m1","MeterValues",{"connectorId":1,"transactionId":2,"meterValue":[{"timestamp":"2025-01-15T10:31:00Z",'
        b'"sampledValue":[{"value":"1120","context":"Sample.Periodic","format":"Raw",'
        b'"measurand":"Energy.Active.Import.Register","location":"Outlet","unit":"Wh"},'
        b'{"value":"7200","measurand":"Power.Active.Import","unit":"W"}]}]}]'
    ),
    (
        b'[2,"e1","StopTransaction",{"transactionId":2,"meterStop":1240,"timestamp":"2025-01-15T10:32:00Z",'
        b'"idTag":"FUZZ-TAG-0001","reason":"Local","transactionData":[{"timestamp":"2025-01-15T10:30:00Z",'
        b'"sampledValue":[{"value":"1000","context":"Transaction.Begin"}]},{"timestamp":"2025-01-15T10:32:00Z",'
        b'"sampledValue":[{"value":"1240","context":"Transaction.End","unit":"Wh"}]}]}]'
    ),
    b'[2,"d1","DataTransfer",{"vendorId":"com.example","messageId":"Info","data":"{\\"kWh\\":12.5}"}]',
    b'[2,"g1","DiagnosticsStatusNotification",{"status":"Uploading"}]',
    b'[2,"f1","FirmwareStatusNotification",{"status":"Installed"}]',
    b'[2,"l1","LogStatusNotification",{"status":"Uploaded","requestId":7}]',
    (
        b'[2,"y1","SecurityEventNotification",{"type":"SettingSystemTime","timestamp":"2025-01-15T10:30:00Z",'
        b'"techInfo":"ntp"}]'
    ),
    b'[2,"c1","SignCertificate",{"csr":"-----BEGIN CERTIFICATE REQUEST-----\\nMIIB\\n-----END"}]',
    b'[2,"w1","SignedFirmwareStatusNotification",{"status":"Downloading","requestId":8}]',
    # LIVOLTEK: session register in whole kWh, power ten times too high
    (
        b'[2,"1736937000123","BootNotification",{"chargePointVendor":"LIVOLTEK","chargePointModel":"AC011E",'
        b'"chargePointSerialNumber":"LV0001","firmwareVersion":"V1.0.8","iccid":"","imsi":""}]'
    ),
    (
        b'[2,"1736937000124","MeterValues",{"connectorId":1,"transactionId":3,"meterValue":[{"timestamp":'
        b'"2025-01-15T10:30:32Z","sampledValue":[{"value":"1",'
        b'"measurand":"Energy.Active.Import.Register","unit":"kWh"},'
        b'{"value":"108000","measurand":"Power.Active.Import","unit":"W"},{"value":"50.00",'
        b'"measurand":"Frequency"}]}]}]'
    ),
    # EVlink: JSON over several lines, power always 0.0, serial number of 33 characters
    (
        b'[\r\n  2,\r\n  "3c1a5a34-6c3d-4d41-8d3b-6f7a2d1b9c55",\r\n  "MeterValues",'
        b'\r\n  {\r\n    "connectorId": 1,\r\n'
        b'    "transactionId": 1,'
        b'\r\n    "meterValue": [\r\n      {\r\n        "timestamp": "2025-01-15T10:31:00.512Z",\r\n'
        b'        "sampledValue": [\r\n          {"value": "793477.000", "unit": "Wh"},\r\n'
        b'          {"value": "0.0", "measurand": "Power.Active.Import",'
        b' "unit": "W"}\r\n        ]\r\n      }\r\n    ]\r\n'
        b"  }\r\n]"
    ),
    (
        b'[2,"e7","BootNotification",{"chargePointVendor":"Schneider Electric","chargePointModel":"EVlink Pro AC",'
        b'"chargeBoxSerialNumber":"3N233540608B2S1B2-0123456789-00001"}]'
    ),
    # Huawei SCharger: one object where a list belongs, kWh with decimals
    (
        b'[2,"hw1","MeterValues",{"connectorId":1,"transactionId":0,'
        b'"meterValue":{"timestamp":"2025-01-15T10:31:00+0300",'
        b'"sampledValue":{"value":"1.120","measurand":"Energy.Active.Import.Register","unit":"kWh"}}}]'
    ),
    # Growatt THOR: local time bare, the start register in every frame, energy inside a DataTransfer
    (
        b'[2,"gw1","MeterValues",{"connectorId":1,"transactionId":4,"meterValue":[{"timestamp":"2025-01-15T13:31:00",'
        b'"sampledValue":[{"value":"1000","context":"Transaction.Begin","unit":"Wh"},{"value":"1100","context":'
        b'"Sample.Periodic","unit":"Wh"},{"value":"16.1","measurand":"Current.Import","phase":"L1","unit":"A"}]}]}]'
    ),
    b'[2,"gw2","DataTransfer",{"vendorId":"Growatt","messageId":"ChargeRecord","data":"energy=12.5&cost=3.75"}]',
    # AEFA: a value left out; Beny: a comma in front; Wallbe: NUL at the end; BOM
    (
        b'[2,"ae1","MeterValues",{"connectorId":1,"transactionId":,"meterValue":[{"timestamp":"2025-01-15 10:31:00",'
        b'"sampledValue":[{"value":"1100"}]}]}]'
    ),
    b',[2,"be1","StatusNotification",{,"connectorId":1,"status":"Charging","errorCode":"NoError",}]',
    b'[2,"wa1","Heartbeat",{}]\x00\x00',
    b'\xef\xbb\xbf[2,"bo1","Heartbeat",null]',
    # phases without a total, a meter that gives intervals only, signed data, hertz as text
    (
        b'[2,"ph1","MeterValues",{"connectorId":2,"transactionId":5,"meterValue":[{"timestamp":"2025-01-15T10:31:00Z",'
        b'"sampledValue":[{"value":"400","phase":"L1","unit":"Wh"},{"value":"401","phase":"L2",'
        b'"unit":"Wh"},{"value":"402",'
        b'"phase":"L3","unit":"Wh"}]}]}]'
    ),
    (
        b'[2,"iv1","MeterValues",{"connectorId":2,"transactionId":5,"meterValue":[{"timestamp":"2025-01-15T10:31:00Z",'
        b'"sampledValue":[{"value":"60","measurand":"Energy.Active.Import.Interval","unit":"Wh"},{"value":"OCMF|{}",'
        b'"format":"SignedData"},{"value":"50","measurand":"Frequency"}]}]}]'
    ),
    # clocks that never were set (MicroOcpp, AcTEC), ids that are none (-1, 0, 2**63-1), reservation, foreign reason
    (
        b'[2,"mc1","StartTransaction",{"connectorId":2,"idTag":"FUZZ-TAG-0002","meterStart":0,'
        b'"timestamp":"1970-01-01T00:00:10Z","reservationId":-1}]'
    ),
    (
        b'[2,"at1","StopTransaction",{"transactionId":-1,"meterStop":0,"timestamp":"0000-00-00T00:00:00Z",'
        b'"reason":"FrameMismatch"}]'
    ),
    b'[2,"et1","MeterValues",{"connectorId":0,"transactionId":9223372036854775807,"meterValue":[]}]',
    b'[2,"oc1","StartTransaction",{"connectorId":"1","idTag":12345678,"meterStart":"1000.0","timestamp":1736937000}]',
    # SteVe's poison, and a message of the other side
    (
        b'[2,"yy1","StatusNotification",{"connectorId":1,"status":"Available","errorCode":"NoError",'
        b'"timestamp":"222222017-01-15T10:30:00Z"}]'
    ),
    b'[2,"rs1","RemoteStartTransaction",{"idTag":"FUZZ-TAG-0001"}]',
    # answers that nobody asked for, with four elements instead of five (Grizzl-E)
    b'[3,"none",{"status":"Accepted"}]',
    b'[4,"none","NotSupported","no"]',
    b'[4,"none","InternalError","",{}]',
)

ACTIONS = (
    "Authorize",
    "BootNotification",
    "DataTransfer",
    "DiagnosticsStatusNotification",
    "FirmwareStatusNotification",
    "Heartbeat",
    "LogStatusNotification",
    "MeterValues",
    "SecurityEventNotification",
    "SignCertificate",
    "SignedFirmwareStatusNotification",
    "StartTransaction",
    "StatusNotification",
    "StopTransaction",
)
