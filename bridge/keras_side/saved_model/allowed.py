"""The operators that a SavedModel's program may hold. What is on neither list is refused by name.

RUNS: what may be in the part that is run and traced: arithmetic on tensors, reading of variables, control flow. RESTS:
what may lie in the file beside it and is never run: saving and restoring, training and what feeds it, random numbers,
tables and text. Not on either: files, network, Python, devices, custom operators and calls into compilers.
"""

from __future__ import annotations

_ARITHMETIC = """
Abs AccumulateNV2 Acos Acosh Add AddN AddV2 Angle ApproximateEqual Asin Asinh Atan Atan2 Atanh BesselI0 BesselI0e
BesselI1 BesselI1e Betainc BiasAdd BiasAddV1 Bincount Bitcast BitwiseAnd BitwiseOr BitwiseXor Bucketize Cast Ceil
CheckNumerics CheckNumericsV2 ClipByValue Complex ComplexAbs Conj Cos Cosh Cross Cumprod Cumsum CumulativeLogsumexp
DenseBincount Digamma Div DivNoNan Elu Equal Erf Erfc Erfinv EuclideanNorm Exp Expint Expm1 Floor FloorDiv FloorMod
Greater GreaterEqual Igamma Igammac Imag Inv Invert IsFinite IsInf IsNan L2Loss LeakyRelu LeftShift Less LessEqual
Lgamma Log Log1p LogicalAnd LogicalNot LogicalOr LogSoftmax Maximum Minimum Mod Mul MulNoNan Ndtri Neg NextAfter
NotEqual Polygamma PopulationCount Pow Real RealDiv Reciprocal Relu Relu6 RightShift Rint Round Rsqrt Selu Sigmoid
Sign Sin Sinh Softmax SoftmaxCrossEntropyWithLogits Softplus Softsign SparseSoftmaxCrossEntropyWithLogits Spence Sqrt
Square SquaredDifference Sub Tan Tanh TruncateDiv TruncateMod Xdivy Xlog1py Xlogy Zeta
"""
_REDUCTIONS = """
All Any ArgMax ArgMin HistogramFixedWidth InTopK InTopKV2 LowerBound Max Mean Min NthElement Prod SegmentMax
SegmentMean SegmentMin SegmentProd SegmentSum SparseSegmentMean SparseSegmentSqrtN SparseSegmentSum Sum TopK TopKV2
Unique UniqueV2 UniqueWithCounts UniqueWithCountsV2 UnsortedSegmentMax UnsortedSegmentMin UnsortedSegmentProd
UnsortedSegmentSum UpperBound
"""
_MATRICES = """
BatchMatMul BatchMatMulV2 BatchMatMulV3 Cholesky Einsum FFT FFT2D FFT3D IFFT IFFT2D IFFT3D IRFFT IRFFT2D IRFFT3D
LogMatrixDeterminant Lu MatMul MatrixBandPart MatrixDeterminant MatrixDiag MatrixDiagPart MatrixDiagPartV2
MatrixDiagPartV3 MatrixDiagV2 MatrixDiagV3 MatrixInverse MatrixSetDiag MatrixSetDiagV2 MatrixSetDiagV3 MatrixSolve
MatrixTriangularSolve Qr RFFT RFFT2D RFFT3D SelfAdjointEigV2 SparseTensorDenseMatMul Svd TridiagonalSolve
"""
_SHAPES = """
BatchToSpace BatchToSpaceND BroadcastArgs BroadcastTo Concat ConcatOffset ConcatV2 Const DepthToSpace Diag DiagPart
DynamicPartition DynamicStitch EnsureShape ExpandDims ExtractImagePatches ExtractVolumePatches Fill Gather GatherNd
GatherV2 Identity IdentityN InvertPermutation LinSpace ListDiff MirrorPad OneHot OnesLike Pack Pad PadV2
ParallelConcat ParallelDynamicStitch Placeholder PlaceholderV2 PlaceholderWithDefault PreventGradient Range Rank
Reshape Reverse ReverseSequence ReverseV2 Roll ScatterNd Select SelectV2 Shape ShapeN Size Slice Snapshot SpaceToBatch
SpaceToBatchND SpaceToDepth SparseToDense Split SplitV Squeeze StopGradient StridedSlice TensorScatterAdd
TensorScatterMax TensorScatterMin TensorScatterSub TensorScatterUpdate TensorStridedSliceUpdate Tile Transpose Unpack
UnravelIndex Where ZerosLike
"""
_NETWORKS = """
AdjustContrastv2 AdjustHue AdjustSaturation AvgPool AvgPool3D BlockLSTM BlockLSTMV2 CombinedNonMaxSuppression Conv
Conv2D Conv2DBackpropInput Conv2DBackpropInputV2 Conv3D Conv3DBackpropInput Conv3DBackpropInputV2 CropAndResize
DataFormatDimMap DataFormatVecPermute DepthwiseConv2dNative Dilation2D FakeQuantWithMinMaxArgs FakeQuantWithMinMaxVars
FakeQuantWithMinMaxVarsPerChannel FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3 GRUBlockCell HSVToRGB
ImageProjectiveTransformV2 ImageProjectiveTransformV3 LRN LSTMBlockCell MaxPool MaxPool3D MaxPoolV2 MaxPoolWithArgmax
NonMaxSuppression NonMaxSuppressionV2 NonMaxSuppressionV3 NonMaxSuppressionV4 NonMaxSuppressionV5
QuantizeAndDequantizeV2 QuantizeAndDequantizeV3 QuantizeAndDequantizeV4 ResizeArea ResizeBicubic ResizeBilinear
ResizeNearestNeighbor RGBToHSV ScaleAndTranslate
"""
_VARIABLES = """
DisableCopyOnRead ReadVariableOp RefIdentity ResourceGather ResourceGatherNd VarHandleOp Variable VariableShape
VariableV2
"""
_CONTROL = """
_EagerConst Assert Case ControlTrigger EmptyTensorList Enter Exit FakeParam If LoopCond Merge NextIteration NoOp
PartitionedCall RefEnter RefExit RefMerge RefNextIteration RefSelect RefSwitch StatefulPartitionedCall StatelessCase
StatelessIf StatelessWhile Switch TensorArrayCloseV3 TensorArrayConcatV3 TensorArrayGatherV3 TensorArrayReadV3
TensorArrayScatterV3 TensorArraySizeV3 TensorArraySplitV3 TensorArrayV3 TensorArrayWriteV3 TensorListConcatV2
TensorListElementShape TensorListFromTensor TensorListGather TensorListGetItem TensorListLength TensorListPopBack
TensorListPushBack TensorListReserve TensorListResize TensorListScatterV2 TensorListSetItem TensorListSplit
TensorListStack While
"""
_SAVING = """
MergeV2Checkpoints Restore RestoreSlice RestoreV2 Save SaveSlices SaveV2 ShardedFilename ShardedFilespec
"""
_TRAINING = """
ApplyAdadelta ApplyAdagrad ApplyAdagradV2 ApplyAdam ApplyAdaMax ApplyCenteredRMSProp ApplyFtrl ApplyFtrlV2
ApplyGradientDescent ApplyMomentum ApplyRMSProp Assign AssignAdd AssignAddVariableOp AssignSub AssignSubVariableOp
AssignVariableOp AvgPool3DGrad AvgPoolGrad BiasAddGrad BroadcastGradientArgs Conv2DBackpropFilter
Conv3DBackpropFilterV2 DepthwiseConv2dNativeBackpropFilter DepthwiseConv2dNativeBackpropInput DestroyResourceOp
DestroyTemporaryVariable EluGrad FusedBatchNormGrad FusedBatchNormGradV2 FusedBatchNormGradV3 InvGrad
IsVariableInitialized LeakyReluGrad LRNGrad MaxPool3DGrad MaxPoolGrad MaxPoolGradV2 MirrorPadGrad ReciprocalGrad
Relu6Grad ReluGrad ResizeBicubicGrad ResizeBilinearGrad ResizeNearestNeighborGrad ResourceApplyAdadelta
ResourceApplyAdagrad ResourceApplyAdagradV2 ResourceApplyAdam ResourceApplyAdaMax ResourceApplyAdamWithAmsgrad
ResourceApplyAddSign ResourceApplyCenteredRMSProp ResourceApplyFtrl ResourceApplyFtrlV2 ResourceApplyGradientDescent
ResourceApplyKerasMomentum ResourceApplyMomentum ResourceApplyPowerSign ResourceApplyRMSProp ResourceScatterAdd
ResourceScatterNdAdd ResourceScatterNdUpdate ResourceScatterSub ResourceScatterUpdate ResourceSparseApplyAdagrad
ResourceSparseApplyAdagradV2 ResourceSparseApplyFtrlV2 ResourceSparseApplyKerasMomentum ResourceSparseApplyMomentum
ResourceSparseApplyRMSProp ResourceStridedSliceAssign RsqrtGrad ScatterAdd ScatterNdUpdate ScatterSub ScatterUpdate
SeluGrad SigmoidGrad SoftplusGrad SoftsignGrad SqrtGrad StridedSliceGrad TanhGrad TemporaryVariable VarIsInitializedOp
"""
_RANDOM = """
Multinomial NonDeterministicInts ParameterizedTruncatedNormal RandomGamma RandomPoissonV2 RandomShuffle
RandomStandardNormal RandomUniform RandomUniformInt RngReadAndSkip RngSkip StatefulRandomBinomial
StatefulStandardNormalV2 StatefulTruncatedNormal StatefulUniform StatefulUniformFullInt StatefulUniformInt
StatelessMultinomial StatelessRandomGammaV2 StatelessRandomGetAlg StatelessRandomGetKeyCounter StatelessRandomNormal
StatelessRandomNormalV2 StatelessRandomUniform StatelessRandomUniformFullInt StatelessRandomUniformFullIntV2
StatelessRandomUniformInt StatelessRandomUniformIntV2 StatelessRandomUniformV2 StatelessSampleDistortedBoundingBox
StatelessShuffle StatelessTruncatedNormal StatelessTruncatedNormalV2 TruncatedNormal
"""
_TEXT = """
AnonymousHashTable AnonymousMutableDenseHashTable AnonymousMutableHashTable AsString DecodeBase64 EncodeBase64
HashTable HashTableV2 InitializeTable InitializeTableFromTextFile InitializeTableFromTextFileV2 InitializeTableV2
LookupTableExport LookupTableExportV2 LookupTableFind LookupTableFindV2 LookupTableImport LookupTableImportV2
LookupTableInsert LookupTableInsertV2 LookupTableRemoveV2 LookupTableSize LookupTableSizeV2 MutableDenseHashTableV2
MutableHashTable MutableHashTableV2 ReduceJoin RegexFullMatch RegexReplace StaticRegexFullMatch StaticRegexReplace
StringFormat StringJoin StringLength StringLower StringNGrams StringSplit StringSplitV2 StringStrip StringToHashBucket
StringToHashBucketFast StringToHashBucketStrong StringToNumber StringUpper Substr UnicodeDecode
UnicodeDecodeWithOffsets UnicodeEncode UnicodeTranscode UnsortedSegmentJoin
"""
_RECORDS = """
DecodeAndCropJpeg DecodeBmp DecodeCSV DecodeGif DecodeImage DecodeJpeg DecodeJSONExample DecodePng DecodeRaw DecodeWav
EncodeJpeg EncodePng ParseExample ParseExampleV2 ParseSequenceExample ParseSequenceExampleV2 ParseSingleExample
ParseSingleSequenceExample ParseTensor SerializeTensor
"""
_SPARSE = """
DenseCountSparseOutput DeserializeManySparse DeserializeSparse RaggedBincount RaggedCountSparseOutput RaggedCross
RaggedGather RaggedRange RaggedTensorFromVariant RaggedTensorToSparse RaggedTensorToTensor RaggedTensorToVariant
SerializeManySparse SerializeSparse SparseAdd SparseBincount SparseConcat SparseCountSparseOutput SparseCross
SparseCrossHashed SparseCrossV2 SparseDenseCwiseAdd SparseDenseCwiseMul SparseFillEmptyRows SparseReduceMax
SparseReduceSum SparseReorder SparseReshape SparseSlice SparseSoftmax SparseSplit
"""
_FEEDING = """
BatchDataset BatchDatasetV2 CacheDataset CacheDatasetV2 ConcatenateDataset DatasetToSingleElement FIFOQueue
FIFOQueueV2 FilterDataset FixedLengthRecordDataset FixedLengthRecordDatasetV2 FlatMapDataset InterleaveDataset
Iterator IteratorFromStringHandle IteratorFromStringHandleV2 IteratorGetNext IteratorGetNextSync
IteratorToStringHandle IteratorV2 MakeIterator MapAndBatchDataset MapDataset ModelDataset OneShotIterator
OptimizeDataset OptimizeDatasetV2 PaddedBatchDataset PaddedBatchDatasetV2 PaddingFIFOQueueV2 ParallelInterleaveDataset
ParallelInterleaveDatasetV2 ParallelMapDataset ParallelMapDatasetV2 PrefetchDataset QueueCloseV2 QueueDequeueManyV2
QueueDequeueUpToV2 QueueDequeueV2 QueueEnqueueManyV2 QueueEnqueueV2 QueueSizeV2 RandomShuffleQueueV2 RangeDataset
ReduceDataset RepeatDataset ShuffleAndRepeatDataset ShuffleDataset ShuffleDatasetV2 ShuffleDatasetV3 SkipDataset
TakeDataset TensorDataset TensorSliceDataset TextLineDataset TFRecordDataset TFRecordDatasetV2 WindowDataset
ZipDataset
"""
_WATCHING = """
AudioSummary AudioSummaryV2 HistogramSummary ImageSummary MergeSummary ScalarSummary TensorSummary TensorSummaryV2
Timestamp
"""
_STACKS = """
Stack StackClose StackCloseV2 StackPop StackPopV2 StackPush StackPushV2 StackV2 TensorArrayGradV3
"""
_CUDNN = """
CudnnRNN CudnnRNNBackprop CudnnRNNBackpropV2 CudnnRNNBackpropV3 CudnnRNNCanonicalToParams CudnnRNNCanonicalToParamsV2
CudnnRNNParamsSize CudnnRNNParamsToCanonical CudnnRNNParamsToCanonicalV2 CudnnRNNV2 CudnnRNNV3
"""

RUNS = frozenset(" ".join([_ARITHMETIC, _REDUCTIONS, _MATRICES, _SHAPES, _NETWORKS, _VARIABLES, _CONTROL]).split())
# What rests, and why it can't be in the part that runs
REASONS = {
    "it reads and writes files": _SAVING,
    "it changes variables or computes gradients, which a model in inference does not": _TRAINING,
    "it draws random numbers, as augmentation does unless it is exported with training=False": _RANDOM,
    "text and tables have no ONNX form here; export the part behind them": _TEXT,
    "it reads encoded records; export the part behind it, which takes tensors": _RECORDS,
    "sparse and ragged tensors have no ONNX form": _SPARSE,
    "it feeds a model from files, data sets or queues; export the part behind it, which takes tensors": _FEEDING,
    "it reports of a training": _WATCHING,
    "it keeps values for the gradients of loops": _STACKS,
    "it is for GPUs with cuDNN alone": _CUDNN,
}
RESTS = frozenset(name for names in REASONS.values() for name in names.split())
REACHES_OUT = "it is none of those that only compute (it may reach files, the network or Python, or be a custom one)"


def reason(operator: str) -> str | None:
    """Why an operator may not be in the part that runs; None if it may."""
    if operator in RUNS:
        return None
    return next((why for why, names in REASONS.items() if operator in names.split()), REACHES_OUT)
