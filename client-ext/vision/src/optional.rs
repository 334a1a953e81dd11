//! The networks without which the eyes work and see less: where a face looks, whether it looks alive, and where phones
//! are.
//!
//! Each is left out if its file is missing, damaged, of another shape, or does not compute its stored example; why is
//! kept, for doctor and the log. What is missing is attested (`phone` is absent, `assurance` is 0), so that the host
//! knows what this client does not see.

use ort::environment::Environment;
use ort::session::Session;
use ort::value::{Outlet, TensorElementType, ValueType};
use sudare_models::{Facts, InputFacts, ModelError, Role, Store, VerifiedModel};

use crate::antispoof::AntiSpoof;
use crate::engine::{EngineError, session};
use crate::mesh::FaceMesh;
use crate::phones::PhoneDetector;

/// An optional network that does not run here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lacking {
    pub role: Role,
    /// Its file was never fetched; otherwise something is wrong with it.
    pub is_missing: bool,
    /// What happened, and what to do.
    pub why: String,
}

/// Those that run, and those that do not.
#[derive(Debug, Default)]
pub(crate) struct Optional {
    pub(crate) mesh: Option<FaceMesh>,
    pub(crate) anti_spoof: Option<AntiSpoof>,
    pub(crate) phones: Option<PhoneDetector>,
    pub(crate) lacking: Vec<Lacking>,
}

impl Optional {
    /// Loads what is there.
    pub(crate) fn load(store: &Store, environment: &Environment) -> Self {
        let mut lacking = Vec::new();
        let mesh = from(store, Role::FaceMesh, |model| mesh(environment, model), &mut lacking);
        let anti_spoof = from(store, Role::AntiSpoof, |model| anti_spoof(environment, model), &mut lacking);
        let phones = from(store, Role::PhoneDetector, |model| phones(environment, model), &mut lacking);
        Optional { mesh, anti_spoof, phones, lacking }
    }
}

fn from<T>(
    store: &Store,
    role: Role,
    build: impl FnOnce(VerifiedModel) -> Result<T, EngineError>,
    lacking: &mut Vec<Lacking>,
) -> Option<T> {
    match store.load(role).map_err(EngineError::from).and_then(build) {
        Ok(network) => Some(network),
        Err(error) => {
            let is_missing = matches!(error, EngineError::Models(ModelError::Missing { .. }));
            let cost = role.without().unwrap_or_default();
            if is_missing {
                tracing::info!(%role, "not installed: {cost}");
            } else {
                tracing::error!(%role, "{error}. It is left out: {cost}");
            }
            lacking.push(Lacking { role, is_missing, why: error.to_string() });
            None
        }
    }
}

fn mesh(environment: &Environment, model: VerifiedModel) -> Result<FaceMesh, EngineError> {
    let session = session(environment, &model)?;
    match model.facts {
        Facts::Mesh(facts) => Ok(FaceMesh::new(session, facts, model.sha256)),
        _ => Err(misplaced(model.role)),
    }
}

fn anti_spoof(environment: &Environment, model: VerifiedModel) -> Result<AntiSpoof, EngineError> {
    let session = session(environment, &model)?;
    match model.facts {
        Facts::AntiSpoof(facts) => AntiSpoof::new(session, facts, model.sha256),
        _ => Err(misplaced(model.role)),
    }
}

fn phones(environment: &Environment, model: VerifiedModel) -> Result<PhoneDetector, EngineError> {
    let session = session(environment, &model)?;
    match model.facts {
        Facts::Phones(facts) => PhoneDetector::new(session, facts, model.sha256),
        _ => Err(misplaced(model.role)),
    }
}

fn misplaced(role: Role) -> EngineError {
    EngineError::Model { role, detail: "the manifest gives it the facts of another model".to_owned() }
}

/// Whether a network takes one tensor and gives one as the manifest says. In shapes, 0 means any size.
pub(crate) fn fits(
    role: Role,
    session: &Session,
    input: &InputFacts,
    (output, shape): (&str, &[usize]),
) -> Result<(), EngineError> {
    let takes = matches!(session.inputs(), [one] if agrees(one, &input.name, &input.shape));
    let gives = session.outputs().iter().any(|one| agrees(one, output, shape));
    if takes && gives {
        return Ok(());
    }
    let detail = format!(
        "it does not take `{}` of shape {:?} and give `{output}` of shape {shape:?}: it is another model",
        input.name, input.shape
    );
    Err(EngineError::Model { role, detail })
}

fn agrees(outlet: &Outlet, name: &str, expected: &[usize]) -> bool {
    let ValueType::Tensor { ty: TensorElementType::Float32, shape, .. } = outlet.dtype() else {
        return false;
    };
    let fits = |(got, wanted): (&i64, &usize)| {
        // A size that the graph leaves open is negative.
        *wanted == 0 || *got < 0 || usize::try_from(*got) == Ok(*wanted)
    };
    outlet.name() == name && shape.len() == expected.len() && shape.iter().zip(expected).all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::environment;

    /// The store of models, or `None` with a word.
    fn store() -> Option<(Store, Environment)> {
        let store = Store::default_dir().and_then(Store::open).ok()?;
        match environment(&store) {
            Ok(environment) => Some((store, environment)),
            Err(error) => {
                println!("SKIPPED: {error}");
                None
            }
        }
    }

    /// The facts of a role, whatever is installed.
    fn facts(role: Role) -> Facts {
        let manifest = sudare_models::Manifest::embedded().unwrap();
        match role {
            Role::AntiSpoof => Facts::AntiSpoof(manifest.anti_spoof.facts.clone()),
            _ => Facts::Phones(manifest.phone_detector.facts.clone()),
        }
    }

    #[test]
    fn a_model_of_another_shape_damaged_bytes_or_none_are_refused_with_words() {
        let Some((store, environment)) = store() else { return };
        let other = store.load(Role::FaceDetector).unwrap();
        for bytes in [other.bytes.clone(), other.bytes[..other.bytes.len() / 2].to_vec(), vec![7; 99], vec![]]
        {
            for role in [Role::AntiSpoof, Role::PhoneDetector] {
                let sha256 = sudare_models::Digest::of(&bytes);
                let model = VerifiedModel {
                    role,
                    sha256,
                    vectors_of: sha256,
                    bytes: bytes.clone(),
                    facts: facts(role),
                };
                let error = match role {
                    Role::AntiSpoof => anti_spoof(&environment, model).unwrap_err().to_string(),
                    _ => phones(&environment, model).unwrap_err().to_string(),
                };
                let start = format!("the {role} model failed: ");
                assert!(error.starts_with(&start) && error.contains("Run: sudare doctor"), "{error}");
            }
        }
    }

    #[test]
    fn what_is_not_installed_is_missing_and_what_is_damaged_is_a_fault() {
        let Some((_, environment)) = store() else { return };
        let folder = tempfile::tempdir().unwrap();
        let empty = Store::open(folder.path()).unwrap();
        let optional = Optional::load(&empty, &environment);
        assert!(optional.mesh.is_none() && optional.anti_spoof.is_none() && optional.phones.is_none());
        let lacking: Vec<_> = optional.lacking.iter().map(|l| (l.role, l.is_missing)).collect();
        assert_eq!(lacking, Role::OPTIONAL.map(|role| (role, true)));
        assert!(optional.lacking.iter().all(|l| l.why.ends_with("Run `sudare models fetch`")));

        let sha256 = "695e750a5d5754bb5a8d5325643b59282191a7e7a564e435a415fd3c578eab14";
        std::fs::write(folder.path().join(format!("phone-detector-{sha256}.onnx")), b"damaged").unwrap();
        let lacking = Optional::load(&empty, &environment).lacking;
        assert_eq!((lacking[2].role, lacking[2].is_missing), (Role::PhoneDetector, false));
        assert!(lacking[2].why.contains("damaged or changed"), "{}", lacking[2].why);
    }
}
