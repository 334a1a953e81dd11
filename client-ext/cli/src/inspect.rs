//! `sudare inspect`: shows what the face models see in pictures.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::{Serialize, Serializer};
use sudare_client_core::face::embedding::Embedding;
use sudare_client_core::face::pose;
use sudare_client_core::phone::Phone;
use sudare_vision::align;
use sudare_vision::camera::picture;
use sudare_vision::engine::Engine;

use crate::output;

/// Show the faces and phones in pictures, and how similar the faces are
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudare inspect team.jpg
  sudare inspect --json a.jpg b.jpg

`cosine` compares all faces in the order listed; from about 0.36 up it is the same person. `missing` names the
models that are not installed: without phone-detector no phones are found, without anti-spoof `live` is not known.")]
pub(crate) struct Arguments {
    /// JPEG or PNG pictures
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// The contract of docs/reference/json.md. Coordinates are pixels of the upright picture.
#[derive(Serialize)]
struct Report {
    files: Vec<FileReport>,
    cosine: Vec<Vec<Rounded>>,
    /// Optional models that are not there: what they would see was not looked for.
    missing: Vec<&'static str>,
}

#[derive(Serialize)]
struct FileReport {
    path: String,
    width: u32,
    height: u32,
    faces: Vec<FaceReport>,
    phones: Vec<PhoneReport>,
}

#[derive(Serialize)]
struct FaceReport {
    #[serde(rename = "box")]
    bbox: [Rounded; 4],
    landmarks: [[Rounded; 2]; 5],
    score: Rounded,
    yaw_deg: Rounded,
    /// 0 (a picture of a face) to 1 (a living face); null if it was not examined.
    live: Option<Rounded>,
}

#[derive(Serialize)]
struct PhoneReport {
    #[serde(rename = "box")]
    bbox: [Rounded; 4],
    score: Rounded,
}

/// More digits than these would only show noise.
#[derive(Clone, Copy)]
struct Rounded(f32);

impl Serialize for Rounded {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64((f64::from(self.0) * 1e4).round() / 1e4)
    }
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut engine = Engine::from_cache()?;
    let bar = output::bar(arguments.files.len() as u64, arguments.json);
    let mut files = Vec::new();
    let mut embeddings = Vec::new();
    for path in &arguments.files {
        bar.set_message(path.display().to_string());
        files.push(examine(&mut engine, path, &mut embeddings)?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let row = |a: &Embedding| embeddings.iter().map(|b| Rounded(a.cosine(b))).collect();
    let cosine = embeddings.iter().map(row).collect();
    let missing = engine.lacking.iter().map(|lacking| lacking.role.name()).collect();
    let report = Report { files, cosine, missing };
    if arguments.json {
        return output::json(&report);
    }
    report.print();
    Ok(())
}

fn examine(engine: &mut Engine, path: &Path, embeddings: &mut Vec<Embedding>) -> anyhow::Result<FileReport> {
    let frame = picture::load(path)?;
    let targets = engine.embedder.facts().landmarks_px;
    let mut faces = Vec::new();
    for face in engine.detector.still(&frame)? {
        // A face whose landmarks coincide cannot be compared, so it does not count.
        let Some(aligned) = align::align(&frame, &face.landmarks, &targets) else { continue };
        embeddings.push(engine.embedder.embed(&aligned)?);
        let live = match &mut engine.anti_spoof {
            Some(network) if network.is_large(&face.bbox) => network.live(&frame, &face.bbox)?,
            _ => None,
        };
        faces.push(FaceReport {
            bbox: face.bbox.map(Rounded),
            landmarks: face.landmarks.map(|point| point.map(Rounded)),
            score: Rounded(face.score),
            yaw_deg: Rounded(pose::yaw_deg(&face.landmarks)),
            live: live.map(Rounded),
        });
    }
    let found = engine.phones.as_mut().map_or(Ok(Vec::new()), |phones| phones.still(&frame))?;
    let phone = |phone: &Phone| PhoneReport { bbox: phone.area.map(Rounded), score: Rounded(phone.score) };
    let (path, phones) = (path.display().to_string(), found.iter().map(phone).collect());
    Ok(FileReport { path, width: frame.width, height: frame.height, faces, phones })
}

impl Report {
    fn print(&self) {
        let mut number = 0;
        for file in &self.files {
            output::line(&format!(
                "{} ({}x{}): {} face(s)",
                file.path,
                file.width,
                file.height,
                file.faces.len()
            ));
            for face in &file.faces {
                number += 1;
                let [x, y, w, h] = face.bbox.map(|v| v.0.round());
                let (score, yaw) = (face.score.0, face.yaw_deg.0);
                let live = face.live.map_or_else(String::new, |live| format!("  looks alive {:.2}", live.0));
                output::line(&format!(
                    "  face {number}: {w}x{h} at {x},{y}  score {score:.2}  yaw {yaw:+.0} degrees{live}"
                ));
            }
            for phone in &file.phones {
                let [x, y, w, h] = phone.bbox.map(|v| v.0.round());
                output::line(&format!("  phone: {w}x{h} at {x},{y}  score {:.2}", phone.score.0));
            }
        }
        for name in &self.missing {
            output::line(&format!("{name} is not installed: sudare doctor says what that costs"));
        }
        if number > 1 {
            output::line("cosine of every pair of faces (the same person from about 0.36 up):");
            for row in &self.cosine {
                let cells: Vec<String> = row.iter().map(|v| format!("{:6.2}", v.0)).collect();
                output::line(&cells.join(""));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_keeps_its_shape() {
        let face = FaceReport {
            bbox: [1.0, 2.0, 3.0, 4.0].map(Rounded),
            landmarks: [[5.123_46, 6.0].map(Rounded); 5],
            score: Rounded(0.9),
            yaw_deg: Rounded(-3.0),
            live: Some(Rounded(0.987)),
        };
        let phone = PhoneReport { bbox: [Rounded(1.0); 4], score: Rounded(0.5) };
        let (faces, phones) = (vec![face], vec![phone]);
        let file = FileReport { path: "a.jpg".to_owned(), width: 10, height: 20, faces, phones };
        let (files, cosine) = (vec![file], vec![vec![Rounded(1.0)]]);
        let mut report = Report { files, cosine, missing: vec!["phone-detector"] };
        let points = ["[5.1235,6.0]"; 5].join(",");
        assert_eq!(
            serde_json::to_string(&report).unwrap(),
            format!(
                r#"{{"files":[{{"path":"a.jpg","width":10,"height":20,"faces":[{{"box":[1.0,2.0,3.0,4.0],"landmarks":[{points}],"score":0.9,"yaw_deg":-3.0,"live":0.987}}],"phones":[{{"box":[1.0,1.0,1.0,1.0],"score":0.5}}]}}],"cosine":[[1.0]],"missing":["phone-detector"]}}"#
            )
        );
        // What was not looked at is null, and what was not looked for is an empty list beside its name in `missing`.
        (report.files[0].faces[0].live, report.files[0].phones) = (None, Vec::new());
        let json = serde_json::to_string(&report).unwrap();
        assert!(json.contains(r#""live":null}],"phones":[]}],"#), "{json}");
    }
}
