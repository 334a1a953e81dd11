//! The operator's face template: what it holds, and how it is sealed to one connection.
//!
//! Vectors have unit length and are already rotated by the device's secret orthogonal matrix, so the
//! host never sees an embedding that is usable on another device. On the way to the client the
//! template is sealed to an X25519 key that the client made for this connection:
//!
//! ```text
//! shared  = X25519(host ephemeral, client ephemeral)
//! key     = HKDF-SHA256(salt = transcript, ikm = shared, info = "sudare/v1 template" || host ephemeral || client ephemeral)
//! sealed  = host ephemeral public (32) || ChaCha20-Poly1305(key, nonce = 0, aad = transcript, template)
//! ```
//! The key is used once, so the nonce is constant (RFC 8439; construction as in RFC 9180, base mode).

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use hkdf::Hkdf;
use minicbor::{Decode, Encode};
use sha2::Sha256;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::cbor;
use crate::limits::{
    OPERATORS_MAX, REGIONS_AREA_MAX_PERMILLE, REGIONS_MAX, TEMPLATE_MAX_BYTES, VECTOR_DIM, VECTORS_MAX,
};

/// Templates of one person, made by one device for one model. It carries no name.
#[derive(Clone, PartialEq, Zeroize, ZeroizeOnDrop)]
pub struct OperatorTemplate {
    pub operator_id: [u8; 16],
    /// SHA-256 of the embedder model's file.
    pub model_sha256: [u8; 32],
    /// Which device matrix rotated the vectors.
    pub rotation_id: [u8; 16],
    pub vectors: Vec<Vec<f32>>,
    /// Where the operator said at enrolment that nobody ever is: posters, televisions.
    #[zeroize(skip)]
    pub regions: Vec<Region>,
    /// How alike the vectors are, in thousandths: the mean of each one's cosine with the nearest other.
    pub self_cosine: Option<u16>,
}

/// A rectangle of the camera's picture, in thousandths of its width and height.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Region {
    #[n(0)]
    pub left: u16,
    #[n(1)]
    pub top: u16,
    #[n(2)]
    pub width: u16,
    #[n(3)]
    pub height: u16,
}

/// A picture's side, and the largest cosine.
const WHOLE: u16 = 1000;

impl Region {
    /// Whether so many of such a size may be marked.
    #[must_use]
    pub fn are_acceptable(regions: &[Region]) -> bool {
        let inside = |from: u16, length: u16| length > 0 && u32::from(from) + u32::from(length) <= 1000;
        // Of sides that nobody has checked yet: two of the largest are more than 32 bits hold.
        let area: u64 = regions.iter().map(|r| u64::from(r.width) * u64::from(r.height)).sum();
        regions.len() <= REGIONS_MAX
            && regions.iter().all(|r| inside(r.left, r.width) && inside(r.top, r.height))
            && area <= u64::from(REGIONS_AREA_MAX_PERMILLE) * u64::from(WHOLE)
    }
}

/// Nobody's face is printed by habit.
impl core::fmt::Debug for OperatorTemplate {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "OperatorTemplate({} vectors)", self.vectors.len())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    #[error("this is not an operator template. Make one with `sudare enroll`")]
    Malformed,
    #[error(
        "the operator template has {0} vectors, but 1 to {VECTORS_MAX} are allowed. Enrol again with fewer pictures"
    )]
    Vectors(usize),
    #[error(
        "a vector of the operator template does not have {VECTOR_DIM} numbers and unit length. Enrol again"
    )]
    NotUnit,
    #[error(
        "the operator template marks more than {REGIONS_MAX} regions, more than a quarter of the picture or something outside of it. Enrol again with fewer or smaller ones"
    )]
    Regions,
    #[error(
        "the sealed operator template cannot be opened with this connection's key. The host is at fault, or the message belongs to another session"
    )]
    Unsealable,
    #[error(
        "the host sent more than {OPERATORS_MAX} operator templates. The administrator must remove some from this seat"
    )]
    TooMany,
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct Wire {
    #[n(0)]
    version: u8,
    #[cbor(n(1), with = "minicbor::bytes")]
    operator_id: [u8; 16],
    #[cbor(n(2), with = "minicbor::bytes")]
    model_sha256: [u8; 32],
    #[cbor(n(3), with = "minicbor::bytes")]
    rotation_id: [u8; 16],
    /// Little-endian f32, one byte string a vector.
    #[n(4)]
    vectors: Vec<minicbor::bytes::ByteVec>,
    #[n(5)]
    regions: Option<Vec<Region>>,
    #[n(6)]
    self_cosine: Option<u16>,
}

impl OperatorTemplate {
    /// The file and wire form, or why this template must not be used.
    pub fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, TemplateError> {
        self.check()?;
        let wire = Wire {
            version: 1,
            operator_id: self.operator_id,
            model_sha256: self.model_sha256,
            rotation_id: self.rotation_id,
            vectors: self
                .vectors
                .iter()
                .map(|v| v.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>().into())
                .collect(),
            regions: (!self.regions.is_empty()).then(|| self.regions.clone()),
            self_cosine: self.self_cosine,
        };
        minicbor::to_vec(&wire).map(Zeroizing::new).map_err(|_| TemplateError::Malformed)
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TemplateError> {
        if bytes.len() > TEMPLATE_MAX_BYTES {
            return Err(TemplateError::Malformed);
        }
        let wire: Wire = cbor::read(bytes).map_err(|_| TemplateError::Malformed)?;
        if wire.version != 1 {
            return Err(TemplateError::Malformed);
        }
        // Bytes behind the last whole number would be dropped, and one template have two encodings.
        if wire.vectors.iter().any(|v| v.len() != VECTOR_DIM * size_of::<f32>()) {
            return Err(TemplateError::NotUnit);
        }
        // The same as no key: one template must not have two encodings.
        if wire.regions.as_ref().is_some_and(Vec::is_empty) {
            return Err(TemplateError::Malformed);
        }
        let vectors = wire
            .vectors
            .iter()
            .map(|v| v.chunks_exact(4).map(|c| f32::from_le_bytes([c[0], c[1], c[2], c[3]])).collect())
            .collect();
        let template = OperatorTemplate {
            operator_id: wire.operator_id,
            model_sha256: wire.model_sha256,
            rotation_id: wire.rotation_id,
            vectors,
            regions: wire.regions.unwrap_or_default(),
            self_cosine: wire.self_cosine,
        };
        template.check()?;
        Ok(template)
    }

    fn check(&self) -> Result<(), TemplateError> {
        if self.vectors.is_empty() || self.vectors.len() > VECTORS_MAX {
            return Err(TemplateError::Vectors(self.vectors.len()));
        }
        for vector in &self.vectors {
            let norm: f32 = vector.iter().map(|x| x * x).sum();
            let is_unit = norm.is_finite() && (norm - 1.0).abs() < 1e-3;
            if vector.len() != VECTOR_DIM || !is_unit {
                return Err(TemplateError::NotUnit);
            }
        }
        if !Region::are_acceptable(&self.regions) {
            return Err(TemplateError::Regions);
        }
        let is_cosine = self.self_cosine.is_none_or(|cosine| cosine <= WHOLE);
        if is_cosine { Ok(()) } else { Err(TemplateError::Malformed) }
    }
}

/// Seals an encoded template to the client's key of this connection. `ephemeral_secret` is 32
/// fresh random bytes, used for this template only.
pub fn seal(
    template: &[u8],
    transcript: &[u8; 32],
    client_public: &[u8; 32],
    ephemeral_secret: [u8; 32],
) -> Result<Vec<u8>, TemplateError> {
    let secret = StaticSecret::from(ephemeral_secret);
    let public = PublicKey::from(&secret);
    let key = derive(&secret, client_public, transcript, public.as_bytes(), client_public)?;
    let sealed = ChaCha20Poly1305::new(&Key::from(*key))
        .encrypt(&Nonce::default(), Payload { msg: template, aad: transcript })
        .map_err(|_| TemplateError::Unsealable)?;
    Ok([public.as_bytes().as_slice(), &sealed].concat())
}

/// Opens what `seal` made, with the secret half of the client's key of this connection.
pub fn unseal(
    sealed: &[u8],
    transcript: &[u8; 32],
    client_secret: &[u8; 32],
) -> Result<OperatorTemplate, TemplateError> {
    let (host_public, body) = sealed.split_first_chunk::<32>().ok_or(TemplateError::Unsealable)?;
    let secret = StaticSecret::from(*client_secret);
    let client_public = PublicKey::from(&secret);
    let key = derive(&secret, host_public, transcript, host_public, client_public.as_bytes())?;
    let plain = ChaCha20Poly1305::new(&Key::from(*key))
        .decrypt(&Nonce::default(), Payload { msg: body, aad: transcript })
        .map_err(|_| TemplateError::Unsealable)?;
    OperatorTemplate::from_bytes(&Zeroizing::new(plain))
}

/// The public half of a connection key.
pub fn public_key(secret: &[u8; 32]) -> [u8; 32] {
    *PublicKey::from(&StaticSecret::from(*secret)).as_bytes()
}

fn derive(
    secret: &StaticSecret,
    peer: &[u8; 32],
    transcript: &[u8; 32],
    host_public: &[u8; 32],
    client_public: &[u8; 32],
) -> Result<Zeroizing<[u8; 32]>, TemplateError> {
    let shared = secret.diffie_hellman(&PublicKey::from(*peer));
    // A low-order point would make the key predictable.
    if !shared.was_contributory() {
        return Err(TemplateError::Unsealable);
    }
    let info = [b"sudare/v1 template".as_slice(), host_public, client_public].concat();
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(Some(transcript), shared.as_bytes())
        .expand(&info, &mut *key)
        .map_err(|_| TemplateError::Unsealable)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn template() -> OperatorTemplate {
        let mut vector = vec![0.0; VECTOR_DIM];
        vector[3] = 1.0;
        OperatorTemplate {
            operator_id: [1; 16],
            model_sha256: [2; 32],
            rotation_id: [3; 16],
            vectors: vec![vector],
            regions: Vec::new(),
            self_cosine: None,
        }
    }

    fn marked(regions: &[[u16; 4]]) -> OperatorTemplate {
        let region = |&[left, top, width, height]: &[u16; 4]| Region { left, top, width, height };
        let mut marked = template();
        marked.regions = regions.iter().map(region).collect();
        marked.self_cosine = Some(731);
        marked
    }

    #[test]
    fn marks_and_likeness_are_optional_and_change_nothing_for_older_readers() {
        let plain = template().to_bytes().unwrap();
        assert_eq!(plain[0], 0xa5, "five keys, as before there were more");
        let cases: [&[[u16; 4]]; 3] = [&[], &[[700, 50, 200, 250]], &[[0, 0, 500, 125]; REGIONS_MAX]];
        for regions in cases {
            let mut marked = marked(regions);
            marked.vectors = vec![template().vectors[0].clone(); VECTORS_MAX];
            let bytes = marked.to_bytes().unwrap();
            assert_eq!(OperatorTemplate::from_bytes(&bytes).unwrap(), marked);
        }
        // As it will be with keys that this version does not know.
        let mut later = plain.to_vec();
        later[0] += 1;
        later.extend([0x17, 0x82, 0x01, 0x02]);
        assert_eq!(OperatorTemplate::from_bytes(&later).unwrap(), template());
    }

    #[test]
    fn marks_are_bounded() {
        let cases: [(&[[u16; 4]], bool); 10] = [
            (&[[0, 0, 500, 500]], true),
            (&[[0, 0, 501, 500]], false),
            (&[[0, 0, 250, 500], [0, 0, 250, 500]], true),
            (&[[0, 0, 250, 500], [0, 0, 250, 501]], false),
            (&[[990, 0, 10, 10]], true),
            (&[[991, 0, 10, 10]], false),
            (&[[0, 65_535, 10, 65_535]], false),
            (&[[0, 0, 0, 10]], false),
            (&[[0, 0, 10, 10]; REGIONS_MAX + 1], false),
            (&[[0, 0, 65_535, 65_535]; 2], false),
        ];
        for (regions, accepted) in cases {
            let result = marked(regions).to_bytes();
            assert_eq!(result.as_ref().err(), (!accepted).then_some(&TemplateError::Regions), "{regions:?}");
        }
        let mut impossible = template();
        impossible.self_cosine = Some(1001);
        assert_eq!(impossible.to_bytes().err(), Some(TemplateError::Malformed));
    }

    #[test]
    fn marks_of_a_liar_are_refused() {
        let bytes = marked(&[[700, 50, 200, 250]]).to_bytes().unwrap();
        for (regions, error) in [
            (Vec::new(), TemplateError::Malformed),
            (vec![Region { left: 0, top: 0, width: 1000, height: 1000 }], TemplateError::Regions),
            (vec![Region { left: 0, top: 0, width: 1, height: 1 }; 5], TemplateError::Regions),
            // Together more than 32 bits hold.
            (vec![Region { left: 0, top: 0, width: u16::MAX, height: u16::MAX }; 2], TemplateError::Regions),
        ] {
            let mut wire: Wire = minicbor::decode(&bytes).unwrap();
            wire.regions = Some(regions);
            let forged = minicbor::to_vec(&wire).unwrap();
            assert_eq!(OperatorTemplate::from_bytes(&forged).err(), Some(error));
        }
        for cut in 0..bytes.len() {
            assert!(OperatorTemplate::from_bytes(&bytes[..cut]).is_err());
        }
    }

    proptest! {
        /// As the fuzz target: what is read can be written, and is the same again.
        #[test]
        fn what_is_read_can_be_written(
            regions in prop::collection::vec(any::<[u16; 4]>(), 0..6),
            self_cosine in any::<Option<u16>>(),
            noise in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        ) {
            let small = |[left, top, width, height]: [u16; 4]| {
                [left % 1100, top % 1100, width % 400, height % 400]
            };
            let regions: Vec<_> = regions.into_iter().map(small).collect();
            let mut template = marked(&regions);
            template.self_cosine = self_cosine;
            let Ok(bytes) = template.to_bytes() else { return Ok(()) };
            prop_assert_eq!(&OperatorTemplate::from_bytes(&bytes).unwrap(), &template);
            let mut bent = bytes.to_vec();
            for (at, value) in noise {
                let at = at.index(bent.len());
                bent[at] = value;
            }
            if let Ok(read) = OperatorTemplate::from_bytes(&bent) {
                prop_assert_eq!(OperatorTemplate::from_bytes(&read.to_bytes().unwrap()).unwrap(), read);
            }
        }
    }

    #[test]
    fn a_template_survives_its_file_form_and_rejects_what_is_not_one() {
        let bytes = template().to_bytes().unwrap();
        assert_eq!(OperatorTemplate::from_bytes(&bytes).unwrap(), template());
        for cut in 0..bytes.len() {
            assert!(OperatorTemplate::from_bytes(&bytes[..cut]).is_err());
        }
        let mut bad = template();
        bad.vectors[0][3] = f32::NAN;
        assert_eq!(bad.to_bytes().err(), Some(TemplateError::NotUnit));
        bad.vectors = vec![vec![1.0]; 20];
        assert_eq!(bad.to_bytes().err(), Some(TemplateError::Vectors(20)));
    }

    #[test]
    fn a_vector_with_a_torn_number_is_refused() {
        let bytes = template().to_bytes().unwrap();
        let mut wire: Wire = minicbor::decode(&bytes).unwrap();
        wire.vectors[0].push(0);
        let torn = minicbor::to_vec(&wire).unwrap();
        assert_eq!(OperatorTemplate::from_bytes(&torn).err(), Some(TemplateError::NotUnit));
    }

    #[test]
    fn a_sealed_template_opens_only_in_its_own_session() {
        let client = [7; 32];
        let sealed = seal(&template().to_bytes().unwrap(), &[9; 32], &public_key(&client), [8; 32]).unwrap();
        assert_eq!(unseal(&sealed, &[9; 32], &client).unwrap(), template());
        assert_eq!(unseal(&sealed, &[1; 32], &client).err(), Some(TemplateError::Unsealable));
        assert_eq!(unseal(&sealed, &[9; 32], &[6; 32]).err(), Some(TemplateError::Unsealable));
        assert_eq!(unseal(&sealed[..20], &[9; 32], &client).err(), Some(TemplateError::Unsealable));
        assert_eq!(seal(&[1], &[9; 32], &[0; 32], [8; 32]).err(), Some(TemplateError::Unsealable));
    }
}
