//! The bucket server, and an independent client of it (data/s3_server.py).

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

pub(super) struct Server {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    endpoint: String,
}

impl Server {
    /// `None`, loudly, where moto is not installed and nobody demands it.
    pub(super) fn start() -> Option<Self> {
        let python = std::env::var_os("SUDARE_TEST_PYTHON").filter(|python| {
            let probe = Command::new(python).args(["-c", "import boto3, flask, moto.server"]).output();
            probe.is_ok_and(|probe| probe.status.success())
        });
        let Some(python) = python else {
            let required = std::env::var("SUDARE_REQUIRE_TOOLS").unwrap_or_default();
            assert!(!required.split(',').any(|tool| tool == "python"), "moto is not installed");
            println!(
                "SKIPPED: no bucket to ship to. `cargo xtask test` sets SUDARE_TEST_PYTHON with moto in it."
            );
            return None;
        };
        let script = sudare_test_kit::checkout().join("tests/data/s3_server.py");
        let mut process = Command::new(python)
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let input = process.stdin.take();
        let output = BufReader::new(process.stdout.take().unwrap());
        let mut server = Self { process, input, output, endpoint: String::new() };
        server.endpoint = server.answer()["endpoint"].as_str().unwrap().to_owned();
        Some(server)
    }

    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// A bucket with a default retention of 30 days, with versions only, or with neither.
    pub(super) fn make(&mut self, name: &str, mode: Option<&str>, versions: bool) {
        self.ask(&json!({ "do": "make", "name": name, "mode": mode, "versions": versions }));
    }

    /// From here on it does not know these queries, and refuses so many uploads before it takes one.
    pub(super) fn be_odd(&mut self, without: &[&str], refused_puts: u32) {
        self.ask(&json!({ "do": "odd", "without": without, "refused_puts": refused_puts }));
    }

    /// Keys and how many versions each has.
    pub(super) fn count(&mut self, bucket: &str) -> BTreeMap<String, u64> {
        serde_json::from_value(self.ask(&json!({ "do": "count", "bucket": bucket }))).unwrap()
    }

    pub(super) fn download(&mut self, bucket: &str, folder: &Path) {
        self.ask(&json!({ "do": "download", "bucket": bucket, "folder": folder.to_str() }));
    }

    /// What the server answered to deleting each version of a key.
    pub(super) fn delete(&mut self, bucket: &str, key: &str) -> Vec<String> {
        serde_json::from_value(self.ask(&json!({ "do": "delete", "bucket": bucket, "key": key }))).unwrap()
    }

    pub(super) fn put(&mut self, bucket: &str, key: &str, text: &str) {
        self.ask(&json!({ "do": "put", "bucket": bucket, "key": key, "text": text }));
    }

    fn ask(&mut self, question: &Value) -> Value {
        writeln!(self.input.as_mut().unwrap(), "{question}").unwrap();
        self.answer()
    }

    fn answer(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The end of its input ends it; a server that hangs is killed with the process below.
        drop(self.input.take());
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
