//! What a device claims of its own camera and key, as numbers that later versions may add to.

/// Where pictures came from, as far as the client can tell: a program with the device's rights can lie here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CameraKind {
    /// A camera that the operating system says is hardware.
    Hardware,
    /// A camera that is a program.
    Virtual,
    /// A stream of pictures written by another program.
    Stream,
    /// A file that is played back.
    Film,
}

impl CameraKind {
    pub const ALL: &'static [CameraKind] =
        &[CameraKind::Hardware, CameraKind::Virtual, CameraKind::Stream, CameraKind::Film];

    pub fn number(self) -> u8 {
        match self {
            CameraKind::Hardware => 0,
            CameraKind::Virtual => 1,
            CameraKind::Stream => 2,
            CameraKind::Film => 3,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            CameraKind::Hardware => "hardware",
            CameraKind::Virtual => "virtual",
            CameraKind::Stream => "stream",
            CameraKind::Film => "film",
        }
    }

    /// `None` for a number of a later version.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.number() == number)
    }
}

/// How a device key is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKept {
    /// A private file: whoever has the user's rights can copy it.
    File,
    /// The platform's key store: the key can be used but not copied.
    Platform,
}

impl KeyKept {
    pub const ALL: &'static [KeyKept] = &[KeyKept::File, KeyKept::Platform];

    pub fn number(self) -> u8 {
        match self {
            KeyKept::File => 0,
            KeyKept::Platform => 1,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            KeyKept::File => "file",
            KeyKept::Platform => "platform",
        }
    }

    /// `None` for a number of a later version.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|kept| kept.number() == number)
    }
}
