"""Reads events with packages that are not ours: pycef for CEF, py-ocsf-models (pydantic) for OCSF."""

import json
import sys

import pycef
from py_ocsf_models.events.findings.detection_finding import DetectionFinding


def read_cef(line):
    event = pycef.parse(line)
    assert event is not None, line
    assert event["CEFVersion"] == "0" and event["DeviceVendor"] == "Sudare", event
    assert 0 <= int(event["DeviceSeverity"]) <= 10, event
    origin, leaf = event["externalId"].split("#")
    assert event["deviceExternalId"] == origin and event["dvchost"] == "vdi-0042", event
    # pycef gives a custom field the name in its label.
    assert event["leafIndex"] == leaf and int(event["checkpointSize"]) > int(leaf), event
    assert len(bytes.fromhex(event["checkpointRoot"])) == 32, event
    assert event["msg"].endswith("."), event


def read_ocsf(event):
    finding = DetectionFinding(**event)
    assert finding.class_uid == 2004 and finding.category_uid == 2, event
    assert finding.type_uid.value == 2004 * 100 + finding.activity_id.value, event
    assert finding.metadata.uid == f"{finding.metadata.log_name}#{finding.metadata.sequence}", event
    assert finding.time == event["time"] and event["is_alert"] is True, event
    for evidence in finding.evidences or []:
        assert len(bytes.fromhex(evidence.data["sha256"])) == 32, event


def read_hec(event):
    assert set(event) == {"time", "host", "source", "sourcetype", "event"}, event
    assert float(event["time"]) == event["event"]["time"] / 1000, event
    read_ocsf(event["event"])


def main():
    form, path = sys.argv[1:]
    readers = {
        "cef": read_cef,
        "ocsf": lambda line: read_ocsf(json.loads(line)),
        "hec": lambda line: read_hec(json.loads(line)),
    }
    count = 0
    with open(path, encoding="ascii") as lines:
        for line in lines:
            readers[form](line.rstrip("\n"))
            count += 1
    print(f"{count} events read")


main()
