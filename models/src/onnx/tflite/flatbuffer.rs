//! Reading FlatBuffers, with every offset and every length checked.
//!
//! The format: <https://flatbuffers.dev/internals/>. A table begins with the distance back to its list of fields; that
//! list says where in the table each field lies, or that it has its default. Strings, vectors and tables lie behind a
//! relative offset. Nothing here follows an offset without looking whether it leads out of the file, and nothing
//! recurses, so a file that points at itself is as bounded as any other.

use crate::onnx::{ITEMS_MAX, OnnxError};

type Read<T> = Result<T, OnnxError>;

/// A table of a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table<'a> {
    file: &'a [u8],
    at: usize,
    /// Where the list of its fields lies.
    fields: usize,
    /// Bytes of that list, the first four of which are its own sizes.
    fields_bytes: usize,
}

impl<'a> Table<'a> {
    /// The outermost table of a file that begins with its offset and this identifier.
    pub(super) fn root(file: &'a [u8], identifier: &[u8; 4]) -> Read<Self> {
        if &bytes_at::<4>(file, 4)? != identifier {
            return Err(OnnxError::NotTflite("the identifier is another"));
        }
        Self::at(file, follow(file, 0)?)
    }

    fn at(file: &'a [u8], at: usize) -> Read<Self> {
        let back = i64::from(i32::from_le_bytes(bytes_at(file, at)?));
        let fields = i64::try_from(at).ok().and_then(|at| usize::try_from(at - back).ok());
        let fields = fields.ok_or_else(outside)?;
        let fields_bytes = usize::from(u16::from_le_bytes(bytes_at(file, fields)?));
        Ok(Self { file, at, fields, fields_bytes })
    }

    /// Where field number `id` lies; `None` if it has its default.
    fn field(&self, id: usize) -> Read<Option<usize>> {
        let entry = 4 + 2 * id;
        if entry + 2 > self.fields_bytes {
            return Ok(None);
        }
        let offset = u16::from_le_bytes(bytes_at(self.file, self.fields + entry)?);
        Ok((offset != 0).then(|| self.at + usize::from(offset)))
    }

    pub(super) fn u8(&self, id: usize) -> Read<u8> {
        Ok(self.field(id)?.map(|at| bytes_at(self.file, at)).transpose()?.map_or(0, u8::from_le_bytes))
    }

    pub(super) fn i32(&self, id: usize, default: i32) -> Read<i32> {
        let bytes = self.field(id)?.map(|at| bytes_at(self.file, at)).transpose()?;
        Ok(bytes.map_or(default, i32::from_le_bytes))
    }

    pub(super) fn table(&self, id: usize) -> Read<Option<Self>> {
        self.field(id)?.map(|at| Self::at(self.file, follow(self.file, at)?)).transpose()
    }

    pub(super) fn tables(&self, id: usize) -> Read<Vec<Self>> {
        let places = self.vector(id, 4)?.map_or(0..0, |(start, bytes)| start..start + bytes);
        places.step_by(4).map(|at| Self::at(self.file, follow(self.file, at)?)).collect()
    }

    pub(super) fn i32s(&self, id: usize) -> Read<Vec<i32>> {
        let Some((start, bytes)) = self.vector(id, 4)? else { return Ok(Vec::new()) };
        let (words, _) = self.file.get(start..start + bytes).ok_or_else(outside)?.as_chunks();
        Ok(words.iter().map(|word| i32::from_le_bytes(*word)).collect())
    }

    /// The bytes of a string or a vector of bytes, however long.
    pub(super) fn bytes(&self, id: usize) -> Read<&'a [u8]> {
        let Some((start, bytes)) = self.vector(id, 1)? else { return Ok(&[]) };
        self.file.get(start..start + bytes).ok_or_else(outside)
    }

    /// Where the elements of a vector lie, and how many bytes they have; all of them are inside the file.
    fn vector(&self, id: usize, width: usize) -> Read<Option<(usize, usize)>> {
        let Some(at) = self.field(id)? else { return Ok(None) };
        let at = follow(self.file, at)?;
        let count = u32::from_le_bytes(bytes_at(self.file, at)?);
        let count = usize::try_from(count).map_err(|_| outside())?;
        if width > 1 && count > ITEMS_MAX {
            return Err(OnnxError::TooLarge);
        }
        let start = at + 4;
        let end = count.checked_mul(width).and_then(|bytes| start.checked_add(bytes));
        match end {
            Some(end) if end <= self.file.len() => Ok(Some((start, end - start))),
            _ => Err(outside()),
        }
    }
}

/// Where the relative offset at `at` leads to.
fn follow(file: &[u8], at: usize) -> Read<usize> {
    let offset = u32::from_le_bytes(bytes_at(file, at)?);
    usize::try_from(offset).ok().and_then(|offset| at.checked_add(offset)).ok_or_else(outside)
}

fn bytes_at<const N: usize>(file: &[u8], at: usize) -> Read<[u8; N]> {
    let bytes = at.checked_add(N).and_then(|end| file.get(at..end));
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(outside)
}

fn outside() -> OnnxError {
    OnnxError::NotTflite("an offset leads out of the file")
}
