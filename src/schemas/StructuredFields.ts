/**
 * Structured field values for HTTP (RFC 9651): items, lists and dictionaries,
 * read and written strictly, every type kept apart.
 *
 * `1.0` stays a decimal and `1` an integer, a token is no string, parameters keep
 * their order: what is read and written again is what a signature covers.
 *
 * **Details**
 *
 * Byte sequences have one text: padded base64 with zero trailing bits. Values are
 * read in linear time, at most 262,144 characters.
 *
 * **Example** (Reading a dictionary)
 *
 * ```ts
 * import { Result } from "effect"
 * import * as StructuredFields from "effect-signer/StructuredFields"
 *
 * const priority = StructuredFields.parseDictionary("u=1, i")
 * const again = Result.flatMap(priority, StructuredFields.serializeDictionary) // "u=1, i"
 * ```
 *
 * @since 0.1.0
 */

export type {
  /**
   * @category models
   * @since 0.1.0
   */
  Alphabet,
  /**
   * @category models
   * @since 0.1.0
   */
  BareItem,
  /**
   * @category models
   * @since 0.1.0
   */
  Dictionary,
  /**
   * @category models
   * @since 0.1.0
   */
  FieldType,
  /**
   * @category models
   * @since 0.1.0
   */
  InnerList,
  /**
   * @category models
   * @since 0.1.0
   */
  Item,
  /**
   * @category models
   * @since 0.1.0
   */
  List,
  /**
   * @category models
   * @since 0.1.0
   */
  Member,
  /**
   * @category models
   * @since 0.1.0
   */
  Parameters
} from "./StructuredFieldValue.ts"

export {
  /**
   * @category constructors
   * @since 0.1.0
   */
  boolean,
  /**
   * @category constructors
   * @since 0.1.0
   */
  byteSequence,
  /**
   * @category constructors
   * @since 0.1.0
   */
  date,
  /**
   * @category constructors
   * @since 0.1.0
   */
  decimal,
  /**
   * @category constructors
   * @since 0.1.0
   */
  displayString,
  /**
   * @category combinators
   * @since 0.1.0
   */
  get,
  /**
   * @category constructors
   * @since 0.1.0
   */
  innerList,
  /**
   * @category constructors
   * @since 0.1.0
   */
  integer,
  /**
   * @category constructors
   * @since 0.1.0
   */
  item,
  /**
   * @category constructors
   * @since 0.1.0
   */
  string,
  /**
   * @category errors
   * @since 0.1.0
   */
  StructuredFieldInvalid,
  /**
   * @category constructors
   * @since 0.1.0
   */
  token
} from "./StructuredFieldValue.ts"

export type {
  /**
   * @category models
   * @since 0.1.0
   */
  ParseOptions
} from "./StructuredFieldReader.ts"

export {
  /**
   * @category parsing
   * @since 0.1.0
   */
  parseDictionary,
  /**
   * @category parsing
   * @since 0.1.0
   */
  parseItem,
  /**
   * @category parsing
   * @since 0.1.0
   */
  parseList
} from "./StructuredFieldReader.ts"

export type {
  /**
   * @category models
   * @since 0.1.0
   */
  SerializeOptions
} from "./StructuredFieldWriter.ts"

export {
  /**
   * @category serializing
   * @since 0.1.0
   */
  serializeDictionary,
  /**
   * @category serializing
   * @since 0.1.0
   */
  serializeItem,
  /**
   * @category serializing
   * @since 0.1.0
   */
  serializeList,
  /**
   * @category serializing
   * @since 0.1.0
   */
  serializeMember
} from "./StructuredFieldWriter.ts"
