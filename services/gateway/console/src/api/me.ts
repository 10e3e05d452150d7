import { api, type User } from "./client";

/** Who is signed in. Without anybody its error has the status 401. */
export function useMe() {
  return api.useQuery("get", "/v1/me", {}, { staleTime: 60_000 });
}

/** Whether the caller has one of the roles. The API decides; this only keeps from showing what it would refuse. */
export function useHasRole(...roles: readonly NonNullable<User["role"]>[]): boolean {
  const role = useMe().data?.user?.role;
  return role !== undefined && roles.includes(role);
}

/** Whether the caller acts in the whole organization, and not in one of its environments. */
export function useWhole(): boolean {
  const user = useMe().data?.user;
  return user !== undefined && !user.environmentId && !user.roleEnvironmentId;
}

/** Whether the caller is an admin of the whole organization, and not of one of its environments. */
export function useIsOrganizationAdmin(): boolean {
  const admin = useHasRole("ROLE_ADMIN");
  return useWhole() && admin;
}
