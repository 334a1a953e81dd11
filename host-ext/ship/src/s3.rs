//! A bucket: opened from the environment, and queried about its retention and versioning.
//!
//! Two clients work with it. The writer sends `x-amz-sdk-checksum-algorithm` and the checksum itself with each request:
//! a bucket with a default retention refuses uploads without them. The other one reads and deletes, where that header
//! would mean nothing.
//!
//! Object Lock is not part of object_store, so two queries use signed URLs:
//! `GET /?object-lock` and `GET /?versioning`
//! (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectLockConfiguration.html>).

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, Checksum};
use object_store::client::{
    ClientOptions, HttpClient, HttpConnector as _, HttpRequest, HttpRequestBody, ReqwestConnector,
};
use object_store::path::Path;
use object_store::signer::{SignedUrlOptions, Signer as _};
use object_store::{BackoffConfig, HeaderMap, HeaderValue, RetryConfig};
use reqwest::{Method, Url};

use crate::error::{ShipError, cause};

/// The largest picture has 16 MiB; a line slower than 1 Mbit/s is considered broken.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(150);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Retries of one request; the caller retries after longer waits, and reports it.
const RETRIES: usize = 5;
const RETRY_TIMEOUT: Duration = Duration::from_secs(20);
const SIGNED_FOR: Duration = Duration::from_secs(60);
/// An answer about a bucket has about 300 bytes.
const ANSWER_MAX_BYTES: usize = 64 * 1024;

/// For how long a bucket keeps each object by default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Retention {
    /// `COMPLIANCE` (nobody can delete) or `GOVERNANCE` (a special permission allows it).
    pub(super) mode: String,
    /// Days; a year counts as 365.
    pub(super) days: u32,
}

impl fmt::Display for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} days", self.mode, self.days)
    }
}

#[derive(Debug)]
pub(super) struct Bucket {
    pub(super) writer: AmazonS3,
    pub(super) reader: AmazonS3,
    pub(super) retention: Option<Retention>,
    pub(super) versioned: bool,
}

impl Bucket {
    pub(super) async fn open(name: &str) -> Result<Self, ShipError> {
        let options = client_options()?;
        let mut checksum = HeaderMap::new();
        checksum.insert("x-amz-sdk-checksum-algorithm", HeaderValue::from_static("SHA256"));
        let writing = options.clone().with_default_headers(checksum);
        let writer = builder(name, writing).with_checksum_algorithm(Checksum::SHA256).build();
        let reader = builder(name, options.clone()).build();
        let refused = |e: object_store::Error| about("its settings", cause(&e));
        let (writer, reader) = (writer.map_err(refused)?, reader.map_err(refused)?);
        let http = ReqwestConnector::default().connect(&options).map_err(refused)?;
        let lock = ask(&reader, &http, "object-lock").await?;
        let versions = ask(&reader, &http, "versioning").await?;
        let versioned = tag(&versions, "Status").is_some();
        Ok(Self { writer, reader, retention: retention(&lock), versioned })
    }
}

fn builder(bucket: &str, options: ClientOptions) -> AmazonS3Builder {
    let retry =
        RetryConfig { backoff: BackoffConfig::default(), max_retries: RETRIES, retry_timeout: RETRY_TIMEOUT };
    AmazonS3Builder::from_env().with_bucket_name(bucket).with_retry(retry).with_client_options(options)
}

/// They become headers and addresses, which the libraries expect to be clean.
fn check_variables() -> Result<(), ShipError> {
    let clean = |value: &OsStr| value.as_bytes().iter().all(|byte| matches!(byte, b' '..=b'~'));
    let mut ours = std::env::vars_os().filter(|(name, _)| name.as_bytes().starts_with(b"AWS_"));
    match ours.find(|(_, value)| !clean(value)) {
        Some((name, _)) => Err(ShipError::Variable(name.to_string_lossy().into_owned())),
        None => Ok(()),
    }
}

fn client_options() -> Result<ClientOptions, ShipError> {
    check_variables()?;
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let mut options =
        ClientOptions::new().with_timeout(REQUEST_TIMEOUT).with_connect_timeout(CONNECT_TIMEOUT);
    if let Some(proxy) = variable("AWS_PROXY_URL") {
        options = options.with_proxy_url(proxy);
    }
    for name in ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"] {
        if let Some(endpoint) = variable(name).filter(|endpoint| !endpoint.starts_with("https://")) {
            if !is_loopback(&endpoint) {
                return Err(ShipError::Insecure(endpoint));
            }
            options = options.with_allow_http(true);
        }
    }
    Ok(options)
}

fn is_loopback(endpoint: &str) -> bool {
    let host = Url::parse(endpoint).ok().and_then(|url| url.host_str().map(str::to_owned));
    host.is_some_and(|host| matches!(host.as_str(), "127.0.0.1" | "[::1]" | "localhost"))
}

/// Queries the bucket itself; empty if it has no such configuration, or its provider has none for any bucket.
async fn ask(s3: &AmazonS3, http: &HttpClient, query: &'static str) -> Result<String, ShipError> {
    let options = SignedUrlOptions::new().with_query([(query, "")]);
    let url = s3.signed_url_opts(Method::GET, &Path::default(), SIGNED_FOR, &options).await;
    let mut request = HttpRequest::new(HttpRequestBody::empty());
    let uri = url.map_err(|e| about(query, cause(&e)))?.as_str().parse();
    *request.uri_mut() = uri.map_err(|e| about(query, e))?;
    let response = http.execute(request).await.map_err(|e| about(query, cause(&e)))?;
    let status = response.status().as_u16();
    let body = response.into_body().bytes().await.map_err(|e| about(query, cause(&e)))?;
    let text = String::from_utf8_lossy(body.get(..ANSWER_MAX_BYTES).unwrap_or(&body)).into_owned();
    let code = tag(&text, "Code");
    match (status, code) {
        (200..=299, _) => Ok(text),
        _ if knows_none(status, code) => Ok(String::new()),
        (_, Some(code)) => Err(about(query, format!("{status}, {code}"))),
        (_, None) => Err(about(query, status)),
    }
}

/// Whether this answer says that the bucket has no such configuration, or that its provider has no such query. Nothing
/// about permissions, credentials or names: what is not known then must not look like "none".
fn knows_none(status: u16, code: Option<&str>) -> bool {
    match code {
        Some("ObjectLockConfigurationNotFoundError" | "NoSuchObjectLockConfiguration") => true,
        Some("NotImplemented" | "MethodNotAllowed" | "NotSupported" | "UnsupportedOperation") => true,
        // Providers that read the query as something else, and refuse that.
        Some("InvalidRequest" | "InvalidArgument") => status == 400,
        _ => matches!(status, 405 | 501),
    }
}

/// The default retention in an `ObjectLockConfiguration`.
fn retention(xml: &str) -> Option<Retention> {
    let rule = tag(xml, "DefaultRetention")?;
    let number = |name| tag(rule, name).and_then(|text| text.trim().parse::<u32>().ok());
    let days = number("Days").or_else(|| number("Years").map(|years| years.saturating_mul(365)))?;
    let mode = tag(rule, "Mode")?.trim();
    let known = days > 0 && matches!(mode, "COMPLIANCE" | "GOVERNANCE");
    known.then(|| Retention { mode: mode.to_owned(), days })
}

/// The text between the first `<name>` and the `</name>` after it.
fn tag<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(inside, _)| inside)
}

fn about(about: &'static str, detail: impl ToString) -> ShipError {
    ShipError::Bucket { about, detail: without_signature(&detail.to_string()) }
}

/// An error's text may contain a signed URL, whose query grants access for a minute.
fn without_signature(text: &str) -> String {
    let words = text.split(' ').map(|word| match word.split_once("X-Amz-") {
        Some((before, _)) => before,
        None => word,
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_retention_is_read_and_nothing_else_counts_as_one() {
        let rule = |inside: &str| {
            format!(
                "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule>\
                 <DefaultRetention>{inside}</DefaultRetention></Rule></ObjectLockConfiguration>"
            )
        };
        let found = |xml: &str| retention(xml).map(|found| found.to_string());
        let days = rule("<Mode>COMPLIANCE</Mode><Days>30</Days>");
        assert_eq!(found(&days).as_deref(), Some("COMPLIANCE, 30 days"));
        let years = rule("<Mode>GOVERNANCE</Mode><Years>2</Years>");
        assert_eq!(found(&years).as_deref(), Some("GOVERNANCE, 730 days"));
        let enabled = "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>";
        for none in ["", enabled, &rule("<Mode>COMPLIANCE</Mode><Days>0</Days>"), &rule("<Days>3</Days>")] {
            assert_eq!(found(none), None, "{none}");
        }
    }

    #[test]
    fn a_provider_without_locks_has_none_and_whoever_may_not_ask_does_not_know() {
        for (status, code) in [
            (404, Some("ObjectLockConfigurationNotFoundError")),
            (404, Some("NoSuchObjectLockConfiguration")),
            (501, Some("NotImplemented")),
            (501, None),
            (405, Some("MethodNotAllowed")),
            (400, Some("InvalidRequest")),
        ] {
            assert!(knows_none(status, code), "{status} {code:?}");
        }
        for (status, code) in [
            (403, Some("AccessDenied")),
            (404, Some("NoSuchBucket")),
            (400, Some("ExpiredToken")),
            (403, Some("InvalidRequest")),
            (503, Some("SlowDown")),
            (404, None),
            (500, None),
        ] {
            assert!(!knows_none(status, code), "{status} {code:?}");
        }
    }

    #[test]
    fn an_endpoint_without_tls_is_for_this_machine_only() {
        assert!(is_loopback("http://127.0.0.1:5000") && is_loopback("http://[::1]:1/"));
        assert!(!is_loopback("http://10.0.0.1") && !is_loopback("http://127.0.0.1.example.com"));
        assert!(!is_loopback("127.0.0.1"));
    }

    #[test]
    fn an_error_never_shows_a_signed_address() {
        let text = "error sending request for url (http://h/b?object-lock=&X-Amz-Signature=12&X-Amz-Date=3): refused";
        assert_eq!(
            without_signature(text),
            "error sending request for url (http://h/b?object-lock=& refused"
        );
    }
}
