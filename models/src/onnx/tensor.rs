//! Reading and writing constant tensors.

use super::OnnxError;
use super::messages::{FLOAT, INT8, INT64, Tensor};

impl Tensor {
    /// An f32 tensor.
    pub(super) fn of_f32(name: &str, dims: Vec<i64>, values: &[f32]) -> Self {
        Self {
            dims,
            data_type: Some(FLOAT),
            name: Some(name.to_owned()),
            raw_data: Some(values.iter().flat_map(|value| value.to_le_bytes()).collect()),
            ..Self::default()
        }
    }

    /// A list of i64.
    pub(super) fn of_i64(name: &str, values: &[i64]) -> Self {
        Self {
            dims: vec![i64::try_from(values.len()).unwrap_or(i64::MAX)],
            data_type: Some(INT64),
            name: Some(name.to_owned()),
            raw_data: Some(values.iter().flat_map(|value| value.to_le_bytes()).collect()),
            ..Self::default()
        }
    }

    /// The sizes along each axis: at least one of each, and as many as there are elements.
    pub(super) fn sizes(&self, elements: usize) -> Result<Vec<usize>, OnnxError> {
        let sizes: Option<Vec<usize>> =
            self.dims.iter().map(|&dim| usize::try_from(dim).ok().filter(|&size| size > 0)).collect();
        sizes
            .filter(|sizes| sizes.iter().try_fold(1_usize, |a, &b| a.checked_mul(b)) == Some(elements))
            .ok_or_else(|| self.unsuitable("has a shape that does not match its data"))
    }

    /// The elements of an i8 tensor.
    pub(super) fn i8_values(&self) -> Result<Vec<i8>, OnnxError> {
        let raw = self.raw(INT8, "should hold int8 numbers")?;
        Ok(raw.iter().map(|&byte| byte.cast_signed()).collect())
    }

    /// The elements of an f32 tensor.
    pub(super) fn f32_values(&self) -> Result<Vec<f32>, OnnxError> {
        // Files write them as bytes or as numbers.
        if self.data_type == Some(FLOAT) && self.raw_data.is_none() && !self.float_data.is_empty() {
            return Ok(self.float_data.clone());
        }
        let raw = self.raw(FLOAT, "should hold fp32 numbers")?;
        Ok(self.words(raw)?.iter().map(|word| f32::from_le_bytes(*word)).collect())
    }

    /// The elements of an i64 tensor.
    pub(super) fn i64_values(&self) -> Result<Vec<i64>, OnnxError> {
        let raw = self.raw(INT64, "should hold int64 numbers")?;
        Ok(self.words(raw)?.iter().map(|word| i64::from_le_bytes(*word)).collect())
    }

    fn raw(&self, data_type: i32, problem: &'static str) -> Result<&[u8], OnnxError> {
        let raw = self.raw_data.as_deref().filter(|_| self.data_type == Some(data_type));
        raw.ok_or_else(|| self.unsuitable(problem))
    }

    fn words<'a, const N: usize>(&self, raw: &'a [u8]) -> Result<&'a [[u8; N]], OnnxError> {
        let (words, rest) = raw.as_chunks::<N>();
        if rest.is_empty() { Ok(words) } else { Err(self.unsuitable("ends in the middle of a number")) }
    }

    fn unsuitable(&self, problem: &'static str) -> OnnxError {
        OnnxError::unsuitable(self.name.as_deref().unwrap_or("a constant without a name"), problem)
    }
}
