//! Events are what their forms' own definitions and parsers say they should be.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Map, Value};

use super::log::Log;
use super::program::{forwarded, uid};
use super::skip_or_fail;

fn data(name: &str) -> PathBuf {
    sudare_test_kit::checkout().join("tests/data/siem").join(name)
}

/// A file with one event of each kind.
fn events(log: &mut Log, format: &str) -> (PathBuf, Vec<String>) {
    let expected = log.one_of_each();
    let out = log.path("out");
    forwarded(log, &format!("file:{}", out.display()), format, &[]);
    let text = fs::read_to_string(&out).unwrap();
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    assert_eq!(lines.iter().map(|line| uid(line)).collect::<Vec<_>>(), expected);
    (out, lines)
}

/// Checks an object against the published definition, all the way down; returns what is wrong with it.
fn faults(schema: &Value, definition: &Value, object: &Map<String, Value>, at: &str) -> Vec<String> {
    let attributes = definition["attributes"].as_object().unwrap();
    let mut faults = Vec::new();
    for (name, attribute) in attributes {
        let required = attribute["required"] == true && attribute.get("profile").is_none();
        if required && !object.contains_key(name) {
            faults.push(format!("{at}.{name} is missing"));
        }
    }
    if let Some(names) = definition["constraints"]["at_least_one"].as_array()
        && !names.iter().any(|name| object.contains_key(name.as_str().unwrap()))
    {
        faults.push(format!("{at} has none of {names:?}"));
    }
    for (name, value) in object {
        let at = format!("{at}.{name}");
        let Some(attribute) = attributes.get(name) else {
            faults.push(format!("{at} is not in the schema"));
            continue;
        };
        if attribute.get("deprecated").is_some() {
            faults.push(format!("{at} is deprecated"));
        }
        let values = match value {
            Value::Array(values) if attribute["array"] == true => values.iter().collect(),
            value => vec![value],
        };
        for value in values {
            faults.extend(value_faults(schema, attribute, value, &at));
        }
    }
    faults
}

fn value_faults(schema: &Value, attribute: &Value, value: &Value, at: &str) -> Vec<String> {
    let kind = attribute["type"].as_str().unwrap();
    let of_kind = match kind {
        "integer_t" | "long_t" | "timestamp_t" => value.is_u64(),
        "boolean_t" => value.is_boolean(),
        "string_t" | "resource_uid_t" | "hostname_t" => value.is_string(),
        "json_t" | "object" => true,
        name => {
            let definition = &schema["objects"][name];
            return match (definition.is_object(), value.as_object()) {
                (true, Some(object)) => faults(schema, definition, object, at),
                (false, _) => vec![format!("{at}: the definition of {name} is not in the file")],
                (true, None) => vec![format!("{at} is no object")],
            };
        }
    };
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let listed = attribute["enum"].as_array().is_none_or(|all| all.iter().any(|one| *one == *text));
    match (of_kind, listed) {
        (false, _) => vec![format!("{at}: {value} is no {kind}")],
        (_, false) => vec![format!("{at}: {value} is not among its values")],
        _ => vec![],
    }
}

#[test]
fn ocsf_events_fit_the_published_schema() {
    let schema = fs::read_to_string(data("ocsf-1.4.0-detection-finding.json")).unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let (_, lines) = events(&mut Log::new(), "ocsf");
    for line in &lines {
        let event: Value = serde_json::from_str(line).unwrap();
        let found = faults(&schema, &schema["class"], event.as_object().unwrap(), "event");
        assert_eq!(found, Vec::<String>::new(), "{line}");
        assert_eq!(event["metadata"]["version"], schema["version"]);
    }
    // The check itself can fail.
    let mut wrong: Value = serde_json::from_str(&lines[0]).unwrap();
    wrong["severity_id"] = 7.into();
    wrong["finding_info"]["uid"] = 1.into();
    wrong["evidences"] = serde_json::json!([{ "image": {} }]);
    wrong["name"] = "x".into();
    wrong.as_object_mut().unwrap().remove("time");
    let found = faults(&schema, &schema["class"], wrong.as_object().unwrap(), "event");
    assert!(found.len() >= 5, "{found:?}");
}

#[test]
fn python_packages_read_every_event() {
    let Some(python) = std::env::var_os("SUDARE_TEST_PYTHON") else {
        return skip_or_fail("python", "no independent reading of events: SUDARE_TEST_PYTHON is not set");
    };
    let packages = Command::new(&python).args(["-c", "import pycef, py_ocsf_models"]).output().unwrap();
    if !packages.status.success() {
        let why =
            "no independent reading of events: the Python packages pycef and py-ocsf-models are missing";
        return skip_or_fail("python-siem", why);
    }
    for format in ["ocsf", "cef", "hec"] {
        let mut log = Log::new();
        let (out, lines) = events(&mut log, format);
        let run = Command::new(&python).arg(data("read_events.py")).arg(format).arg(&out).output().unwrap();
        let said = String::from_utf8_lossy(&run.stdout);
        assert!(run.status.success(), "{said}{}", String::from_utf8_lossy(&run.stderr));
        assert!(said.contains(&format!("{} events read", lines.len())), "{said}");
    }
}

#[test]
fn nothing_but_ids_numbers_and_our_own_words_leaves_the_host() {
    for format in ["ocsf", "cef", "hec"] {
        let (_, lines) = events(&mut Log::new(), format);
        for line in lines {
            // Signed messages, approvals and records are quoted in the log and must not be passed on: they hold names.
            for quoted in ["010203", "AQID", "BEGIN", "base64"] {
                assert!(!line.contains(quoted), "{line}");
            }
            assert!(line.len() < 8_000 && line.is_ascii(), "{line}");
        }
    }
}
