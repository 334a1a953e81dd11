//! What a file is for.

use std::fmt;

/// The three kinds of files that the client cannot work without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Finds faces and their five landmarks in a picture.
    FaceDetector,
    /// Turns an aligned face into a vector that is compared by its cosine.
    FaceEmbedder,
    /// The library that runs the two models.
    OnnxRuntime,
}

impl Role {
    /// Every role, in the order in which they are fetched: small files first.
    pub const ALL: [Self; 3] = [Self::FaceDetector, Self::FaceEmbedder, Self::OnnxRuntime];

    /// The name used in the manifest, in file names and in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FaceDetector => "face-detector",
            Self::FaceEmbedder => "face-embedder",
            Self::OnnxRuntime => "onnx-runtime",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
