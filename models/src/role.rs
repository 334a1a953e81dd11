//! What a file is for.

use std::fmt;

/// The kinds of files behind the client's eyes. It cannot work without the first three.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Finds faces and their five landmarks in a picture.
    FaceDetector,
    /// Turns an aligned face into a vector that is compared by its cosine.
    FaceEmbedder,
    /// The library that runs the models.
    OnnxRuntime,
    /// Finds the shape of a face, 468 points in depth. Optional.
    FaceMesh,
    /// Says of a face in its surroundings whether it looks alive. Optional.
    AntiSpoof,
    /// Finds phones in a picture. Optional.
    PhoneDetector,
}

impl Role {
    /// Every role that must be filled, in the order in which they are fetched: small files first.
    pub const ALL: [Self; 3] = [Self::FaceDetector, Self::FaceEmbedder, Self::OnnxRuntime];

    /// Roles without which the client works and sees less.
    pub const OPTIONAL: [Self; 3] = [Self::FaceMesh, Self::AntiSpoof, Self::PhoneDetector];

    /// What an optional role costs where its file is missing, as a clause; `None` for the others.
    #[must_use]
    pub const fn without(self) -> Option<&'static str> {
        match self {
            Self::FaceDetector | Self::FaceEmbedder | Self::OnnxRuntime => None,
            Self::FaceMesh => Some("where small faces look is told from five points, which is often wrong"),
            Self::AntiSpoof => Some("a photograph or a film of the operator is not told from the operator"),
            Self::PhoneDetector => Some("phones are not noticed"),
        }
    }

    /// The name used in the manifest, in file names and in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FaceDetector => "face-detector",
            Self::FaceEmbedder => "face-embedder",
            Self::OnnxRuntime => "onnx-runtime",
            Self::FaceMesh => "face-mesh",
            Self::AntiSpoof => "anti-spoof",
            Self::PhoneDetector => "phone-detector",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
