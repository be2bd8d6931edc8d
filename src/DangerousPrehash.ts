export * from "./services/DangerousPrehash.ts"
