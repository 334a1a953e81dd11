//! The neural networks, ready to run: ONNX Runtime sessions built from verified bytes.
//!
//! One thread per network, no spinning, no telemetry: the client shares the employee's PC with a remote desktop.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use ort::environment::Environment;
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::value::TensorRef;
use sudare_models::{Checked, Digest, Facts, ModelError, OutputVector, Role, Store, VerifiedModel};
use thiserror::Error;

use crate::antispoof::AntiSpoof;
use crate::faces::Detector;
use crate::identity::Embedder;
use crate::mesh::FaceMesh;
use crate::optional::{Lacking, Optional};
use crate::phones::PhoneDetector;

/// Why the networks cannot run.
#[derive(Debug, Error)]
pub enum EngineError {
    /// The files are missing or wrong; the message says what to do.
    #[error(transparent)]
    Models(#[from] ModelError),
    /// The library exists but does not load.
    #[error("ONNX Runtime cannot be used: {detail}. Run: sudare models fetch, then: sudare doctor")]
    Runtime { detail: String },
    /// A model does not load or does not run.
    #[error(
        "the {role} model failed: {detail}. Run: sudare doctor, and report its output if the fault persists"
    )]
    Model { role: Role, detail: String },
}

/// The networks and the identity of the embedder.
pub struct Engine {
    pub detector: Detector,
    pub embedder: Embedder,
    /// Where it is installed; without it, directions are told from five landmarks.
    pub mesh: Option<FaceMesh>,
    /// Of the detector's file, for the record.
    pub detector_sha256: Digest,
    /// Operator files name it: vectors of different models cannot be compared. It names the space of the vectors and
    /// outlives a rewriting of the file that changes none of them.
    pub embedder_sha256: Digest,
    /// Of the embedder's file, for the record.
    pub embedder_file_sha256: Digest,
    /// Where its file is installed.
    pub anti_spoof: Option<AntiSpoof>,
    /// Where its file is installed.
    pub phones: Option<PhoneDetector>,
    /// Which of these do not run, and why.
    pub lacking: Vec<Lacking>,
}

impl Engine {
    /// From this user's cache.
    ///
    /// # Errors
    /// As [`Engine::load`].
    pub fn from_cache() -> Result<Self, EngineError> {
        Self::load(&Store::open(Store::default_dir()?)?)
    }

    /// The detector alone, from this user's cache.
    ///
    /// # Errors
    /// As [`Engine::load`].
    pub fn detector_from_cache() -> Result<Detector, EngineError> {
        let store = Store::open(Store::default_dir()?)?;
        let (environment, model) = (environment(&store)?, store.load(Role::FaceDetector)?);
        let session = session(&environment, &model)?;
        match model.facts {
            Facts::Detector(facts) => Ok(Detector::new(session, facts)),
            _ => Err(swapped()),
        }
    }

    /// Reads, verifies and builds the networks, and runs each on a stored example. Optional ones that do not run are
    /// left out.
    ///
    /// # Errors
    /// The set-up is at fault, not the pictures.
    pub fn load(store: &Store) -> Result<Self, EngineError> {
        let environment = environment(store)?;
        let detector = store.load(Role::FaceDetector)?;
        let embedder = store.load(Role::FaceEmbedder)?;
        let detector_session = session(&environment, &detector)?;
        let embedder_session = session(&environment, &embedder)?;
        let (Facts::Detector(detector_facts), Facts::Embedder(embedder_facts)) =
            (detector.facts, embedder.facts)
        else {
            return Err(swapped());
        };
        let Optional { mesh, anti_spoof, phones, lacking } = Optional::load(store, &environment);
        Ok(Self {
            detector: Detector::new(detector_session, detector_facts),
            embedder: Embedder::new(embedder_session, embedder_facts),
            mesh,
            detector_sha256: detector.sha256,
            embedder_sha256: embedder.vectors_of,
            embedder_file_sha256: embedder.sha256,
            anti_spoof,
            phones,
            lacking,
        })
    }
}

impl Engine {
    /// Every file in use, as the protocol names them: the detector, the embedder, then the optional ones.
    #[must_use]
    pub fn models(&self) -> Vec<[u8; 32]> {
        let needed = [self.detector_sha256, self.embedder_file_sha256];
        let optional = [
            self.mesh.as_ref().map(|net| net.sha256),
            self.anti_spoof.as_ref().map(|net| net.sha256),
            self.phones.as_ref().map(|net| net.sha256),
        ];
        needed.into_iter().chain(optional.into_iter().flatten()).map(|sha256| *sha256.as_bytes()).collect()
    }
}

fn swapped() -> EngineError {
    let detail = "the manifest swaps models".to_owned();
    EngineError::Model { role: Role::FaceDetector, detail }
}

/// ONNX Runtime is loaded once per process and kept: it cannot be loaded a second time.
static ENVIRONMENT: Mutex<Option<Environment>> = Mutex::new(None);

pub(crate) fn environment(store: &Store) -> Result<Environment, EngineError> {
    let mut loaded = ENVIRONMENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(environment) = loaded.as_ref() {
        return Ok(environment.clone());
    }
    let library = store.runtime_library()?;
    let runtime = |detail: String| EngineError::Runtime { detail };
    let builder = ort::init_from(&library).map_err(|e| runtime(e.to_string()))?;
    let environment =
        builder.with_name("sudare").with_telemetry(false).build().map_err(|e| runtime(e.to_string()))?;
    *loaded = Some(environment.clone());
    Ok(environment)
}

/// A session that computed a stored example correctly on this machine.
pub(crate) fn session(environment: &Environment, model: &VerifiedModel) -> Result<Session, EngineError> {
    let failed = |e: ort::Error| EngineError::Model { role: model.role, detail: e.to_string() };
    let mut session = build(environment, &model.bytes).map_err(failed)?;
    if let Some(example) = sudare_models::vectors(model.role) {
        let outputs = answer(&mut session, &example).map_err(failed)?;
        if example.check(model.role, model.sha256, &outputs)? == Checked::NothingStored {
            tracing::info!(role = %model.role, "no example is stored for this file; it is used unchecked");
        }
    }
    Ok(session)
}

fn build(environment: &Environment, bytes: &[u8]) -> ort::Result<Session> {
    SessionBuilder::new(environment)?
        .with_intra_threads(1)?
        .with_inter_threads(1)?
        .with_intra_op_spinning(false)?
        .with_inter_op_spinning(false)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_log_level(ort::logging::LogLevel::Error)?
        .commit_from_memory(bytes)
}

fn answer(session: &mut Session, example: &OutputVector) -> ort::Result<BTreeMap<String, Vec<f32>>> {
    let values = example.input();
    let tensor = TensorRef::from_array_view((example.input_shape(), values.as_slice()))?;
    let outputs = session.run(ort::inputs![example.input_name() => tensor])?;
    outputs
        .iter()
        .map(|(name, value)| Ok((name.to_owned(), value.try_extract_tensor::<f32>()?.1.to_vec())))
        .collect()
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Engine(embedder {})", self.embedder_sha256)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_cache_says_what_to_type() {
        let dir = tempfile::tempdir().unwrap();
        let error = Engine::load(&Store::open(dir.path()).unwrap()).unwrap_err();
        assert!(matches!(error, EngineError::Models(ModelError::Missing { .. })), "{error}");
        assert!(error.to_string().contains("sudare models fetch"), "{error}");
    }
}
