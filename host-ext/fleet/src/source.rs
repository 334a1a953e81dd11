//! Where the bundle is. What has not changed since is not fetched again.

use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use object_store::path::Path;
use object_store::{Error, GetOptions, ObjectStore, parse_url_opts};
use reqwest::Url;
use sudare_protocol::limits::BUNDLE_MAX_BYTES;

pub(crate) struct Source {
    url: Url,
    store: Box<dyn ObjectStore>,
    path: Path,
    /// Of what was fetched last.
    etag: Option<String>,
}

impl Source {
    pub(crate) fn open(from: &str) -> anyhow::Result<Self> {
        let url = Url::parse(from).with_context(|| {
            format!(
                "{from:?} is not an address. Write file:///FOLDER/fleet.bundle, https://… or s3://BUCKET/KEY"
            )
        })?;
        let is_here = matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
        let is_known = matches!(url.scheme(), "file" | "https" | "s3") || (url.scheme() == "http" && is_here);
        ensure!(
            is_known,
            "{} is no place for bundles: it names the users of the organisation, so that it comes by https, s3 or from \
             a file",
            url.scheme()
        );
        let plain = (url.scheme() == "http").then(|| ("allow_http".to_owned(), "true".to_owned()));
        let settings = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.to_str().filter(|name| name.starts_with("AWS_"))?.to_ascii_lowercase();
            Some((name, value.to_str()?.to_owned()))
        });
        let (store, path) = parse_url_opts(&url, settings.chain(plain))
            .with_context(|| format!("{} cannot be used as a place for bundles", without_secrets(&url)))?;
        Ok(Source { url, store, path, etag: None })
    }

    /// The folder of the file, if it is one of this machine.
    pub(crate) fn folder(&self) -> Option<PathBuf> {
        self.url.to_file_path().ok()?.parent().map(PathBuf::from)
    }

    /// For people.
    pub(crate) fn describe(&self) -> String {
        without_secrets(&self.url)
    }

    /// The next fetch is a whole one.
    pub(crate) fn forget(&mut self) {
        self.etag = None;
    }

    /// What is there; `None` if it has not changed.
    pub(crate) async fn fetch(&mut self) -> anyhow::Result<Option<Vec<u8>>> {
        let options = GetOptions { if_none_match: self.etag.clone(), ..GetOptions::default() };
        let found = match self.store.get_opts(&self.path, options).await {
            Ok(found) => found,
            Err(Error::NotModified { .. }) => return Ok(None),
            Err(error) => {
                return Err(error).with_context(|| {
                    format!("{} cannot be read. The bundle before it stays in force", self.describe())
                });
            }
        };
        ensure!(
            found.meta.size <= BUNDLE_MAX_BYTES as u64,
            "{} has {} bytes, and a bundle has at most {BUNDLE_MAX_BYTES}. The bundle before it stays in force",
            self.describe(),
            found.meta.size
        );
        let etag = found.meta.e_tag.clone();
        let bytes = found.bytes().await.with_context(|| format!("{} was not read whole", self.describe()))?;
        self.etag = etag;
        Ok(Some(bytes.to_vec()))
    }
}

/// A password in an address is nobody's business.
fn without_secrets(url: &Url) -> String {
    let mut url = url.clone();
    // An error means that this kind of address has none.
    url.set_password(None).unwrap_or_default();
    url.set_username("").unwrap_or_default();
    url.set_query(None);
    url.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_would_show_names_to_others_are_refused() {
        for from in ["http://vdi.example/fleet.bundle", "ftp://vdi.example/x", "fleet.bundle", ""] {
            assert!(Source::open(from).is_err(), "{from}");
        }
        assert_eq!(
            without_secrets(&Url::parse("https://a:b@c.example/f?sig=1").unwrap()),
            "https://c.example/f"
        );
    }

    #[tokio::test]
    async fn what_has_not_changed_is_not_fetched_again() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("fleet.bundle");
        let mut source = Source::open(&format!("file://{}", file.display())).unwrap();
        assert!(source.fetch().await.is_err());
        std::fs::write(&file, b"one").unwrap();
        assert_eq!(source.fetch().await.unwrap().as_deref(), Some(&b"one"[..]));
        assert_eq!(source.fetch().await.unwrap(), None);
        std::fs::write(&file, b"another").unwrap();
        assert_eq!(source.fetch().await.unwrap().as_deref(), Some(&b"another"[..]));
        source.forget();
        assert!(source.fetch().await.unwrap().is_some());
    }
}
